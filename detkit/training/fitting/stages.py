"""The stages of R-CNN and SPPNet after fine-tuning: SVMs, then box regressors, both fitted to features."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn

from detkit.arrays import Floats, Halves
from detkit.ops.coder import encode
from detkit.training.checkpointer import Checkpointer
from detkit.training.config import TrainingConfig
from detkit.training.fitting.example_rows import RegionRows
from detkit.training.fitting.feature_store import (
    FeatureStore,
    RegionFeatures,
    check_feature_folder,
    feature_folder,
    feature_store,
    fitted_layers,
    fitting_data,
    mean_norms,
    temporary_rows,
)
from detkit.training.fitting.ridge import Ridge, RidgeConfig, check_features
from detkit.training.fitting.svm import ExampleBuffer, HardNegatives, SVMConfig
from detkit.training.run import EvaluationStopped, Run
from detkit.training.saved_state import explain_foreign_state
from detkit.training.stages import StageResult

if TYPE_CHECKING:
    from detkit.models.fast_rcnn import FastRCNN

_log = logging.getLogger(__name__)

FITTING_SHARE = 0.95
"""Fraction of a stage's budget after which it reads no further image and fits to the images read so far."""
MAX_PASSES = 20
"""Limit on the passes of an exhaustive search for negatives, which normally ends much earlier."""


class StageInterrupted(Exception):  # noqa: N818  # a signal, not an error
    """The run was asked to stop within the stage."""


@dataclass(frozen=True)
class FittedStage:
    """Base class of stages that fit layers to features; each ends with an evaluation and a checkpoint.

    Attributes:
        training: Settings for the choice of the best checkpoint and for the precision of the features.
        cache_megabytes: Disk space for cached features, in units of 10^6 bytes.
        name: Name in the log.
        budget_share: Fraction of the run's budget.
    """

    training: TrainingConfig = field(default_factory=TrainingConfig)
    cache_megabytes: float = 20_000.0
    name: str = "fitted"
    budget_share: float | None = None

    def check(self, run: Run) -> None:
        """See :meth:`Stage.check`.

        Raises:
            ValueError: If the detector has no fitted layers, or the folder of the features holds other files.
        """
        fitting_data(run)
        check_feature_folder(feature_folder(run))

    def run(self, run: Run, state: Mapping[str, Any] | None) -> StageResult:
        """See :meth:`Stage.run`.

        Raises:
            ValueError: If the detector has no fitted layers, or there are several processes.
        """
        if state is not None:
            with explain_foreign_state(run.folder.state, run.folder.last):
                run.detector.load_state_dict(state["detector"])
        checkpointer, fitted = Checkpointer(run, self.training), state is not None and bool(state.get("fitted"))
        self._save(run, checkpointer, fitted)
        try:
            if not fitted:
                self.fit(run, feature_store(run, self.cache_megabytes, self.training.precision))
                self._save(run, checkpointer, True)
            self._evaluate(run, checkpointer)
        except (StageInterrupted, EvaluationStopped):
            return StageResult(run.signals.received or "SIGTERM", True)
        self._save(run, checkpointer, True)
        return StageResult("finished", False, 0, checkpointer.numbers, checkpointer.best_numbers, 0)

    def fit(self, run: Run, store: FeatureStore) -> None:
        """Fit the layers to the features."""
        raise NotImplementedError

    def _evaluate(self, run: Run, checkpointer: Checkpointer) -> None:
        run.hooks.start(0, run.stage)
        try:
            numbers = run.evaluate(run.detector, 0)
            if numbers:
                checkpointer.add_evaluation(numbers, 0)
                run.hooks.evaluation(0, numbers)
        finally:
            run.hooks.close()

    def _save(self, run: Run, checkpointer: Checkpointer, fitted: bool) -> None:
        state = {"step": 0, "fitted": fitted, "detector": dict(run.detector.state_dict())}
        checkpointer.save_last(run.detector, state, run.minutes())


@dataclass(frozen=True)
class SVMStage(FittedStage):
    """One linear SVM per class on the output of the region head: objects against regions with little overlap with the class.

    Attributes:
        svm: Settings of the SVMs.
    """

    svm: SVMConfig = field(default_factory=SVMConfig)
    name: str = "svm"

    def fit(self, run: Run, store: FeatureStore) -> None:
        """See :meth:`FittedStage.fit`."""
        fitted = fitted_layers(run.detector)
        scale, dimensions = self.svm.target_norm / mean_norms(store)[0], fitted.svm.in_features
        limit = self.svm.max_examples(dimensions, run.detector.num_classes)
        buffers = [ExampleBuffer(max(1, limit // 2), dimensions) for _ in range(run.detector.num_classes)]
        for regions in store:
            _check_signal(run)
            for row, label in enumerate(regions.labels.tolist()):
                buffers[label].add(regions.hidden[row])
        miners = [HardNegatives(buffer.rows, self.svm, scale, limit) for buffer in buffers]
        for number in range(MAX_PASSES if self.svm.exhaustive else self.svm.passes):
            for miner in miners:
                miner.new_count = 0
            self._pass(run, store, miners)
            counts = sum(m.new_count for m in miners), sum(m.fits for m in miners)
            _log.info("svm: pass %d: %d new hard negatives, %d fits so far", number + 1, *counts)
            if run.is_budget_spent(FITTING_SHARE) or (self.svm.exhaustive and not any(miner.new_count for miner in miners)):
                break
        weights = torch.from_numpy(np.stack([miner.weights for miner in miners]) * np.float32(scale))
        fitted.svm.weight.data.copy_(weights)
        fitted.svm.bias.data.copy_(torch.tensor([miner.bias for miner in miners]))
        fitted.has_svm.fill_(True)

    def _pass(self, run: Run, store: FeatureStore, miners: list[HardNegatives]) -> None:
        for index, regions in enumerate(_within_budget(run, store, "svm: the budget ends the search for hard negatives")):
            ious, keys = regions.ious(), index * 1_000_000 + np.arange(len(regions.hidden))
            weights, biases = np.stack([miner.weights * np.float32(miner.scale) for miner in miners], 1), [miner.bias for miner in miners]
            margins = regions.hidden.astype(np.float32) @ weights + np.array(biases, np.float32)
            for label, miner in enumerate(miners):
                class_ious = ious[:, regions.labels == label]
                # The objects of other classes are negatives too, as in the released code.
                hard = (class_ious.max(1, initial=0.0) < self.svm.negative_iou) & (margins[:, label] > self.svm.hard_margin)
                miner.add(regions.hidden[hard], keys[hard], margins[hard, label])
        for miner in miners:
            miner.finish()


@dataclass(frozen=True)
class BoxRegressionStage(FittedStage):
    """One ridge regressor of boxes per class.

    Attributes:
        ridge: Settings of the regressors.
    """

    ridge: RidgeConfig = field(default_factory=RidgeConfig)
    name: str = "boxes"

    def check(self, run: Run) -> None:
        """See :meth:`Stage.check`.

        Raises:
            ValueError: If the detector has no fitted layers, or a region has too many features.
        """
        super().check(run)
        check_features(fitted_layers(run.detector).boxes.in_features)

    def fit(self, run: Run, store: FeatureStore) -> None:
        """See :meth:`FittedStage.fit`."""
        fitted, box_weights = fitted_layers(run.detector), cast("FastRCNN", run.detector).region.config.box_weights
        scale = self.ridge.target_norm / mean_norms(store)[1]
        with temporary_rows(store) as folder:
            rows = RegionRows(Path(folder), fitted.boxes.in_features)
            for regions in _within_budget(run, store, "boxes: the budget ends the pass"):
                for label, features, targets in self._examples(regions, box_weights):
                    rows.add(label, features, targets)
            for label in range(run.detector.num_classes):
                _check_signal(run)
                self._solve(rows, label, scale, fitted.boxes)
        fitted.has_boxes.fill_(True)

    def _examples(self, regions: RegionFeatures, box_weights: tuple[float, float, float, float]) -> Iterator[tuple[int, Halves, Floats]]:
        """Yield, for each class in an image, the features of the regions on its objects and the deltas to these objects."""
        near_ious = regions.ious()[regions.near]
        for label in np.unique(regions.labels).tolist():
            objects = np.flatnonzero(regions.labels == label)
            ious = near_ious[:, objects]
            selected = np.flatnonzero(ious.max(1) > self.ridge.min_iou)
            best = torch.from_numpy(regions.boxes[objects[ious[selected].argmax(1)]])
            targets = encode(best, torch.from_numpy(regions.boxes[regions.near[selected]]), box_weights)
            yield label, regions.pooled[selected], targets.numpy()

    def _solve(self, rows: RegionRows, label: int, scale: float, layer: nn.Linear) -> None:
        """Fit the regressor of a class and write it into its rows of the layer."""
        ridge = Ridge(layer.in_features)
        for features, targets in rows.read(label):
            ridge.add(features.astype(np.float32) * np.float32(scale), targets)
        weights, biases = ridge.solve(self.ridge.penalty)
        outputs = slice(4 * label, 4 * label + 4)
        layer.weight.data[outputs] = torch.from_numpy(weights * scale).to(layer.weight)
        layer.bias.data[outputs] = torch.from_numpy(biases).to(layer.bias)
        _log.info("boxes: class %d: fitted to %d regions", label, ridge.count)


def _within_budget(run: Run, store: FeatureStore, warning: str) -> Iterator[RegionFeatures]:
    """Yield the regions of each image until the stage's budget ends, which is logged; the first image always counts."""
    for index, regions in enumerate(store):
        _check_signal(run)
        if index and run.is_budget_spent(FITTING_SHARE):
            _log.warning("warning: %s after %d of %d images", warning, index, len(store))
            return
        yield regions


def _check_signal(run: Run) -> None:
    if run.signals.received is not None:
        raise StageInterrupted
