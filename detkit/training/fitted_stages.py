"""The stages of R-CNN and SPPNet that follow the gradient steps: SVMs, then box regressors, both fitted to features."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from detkit.ops.coder import encode
from detkit.training.checkpointer import Checkpointer
from detkit.training.config import TrainingConfig
from detkit.training.example_rows import Floats, Halves, RegionRows
from detkit.training.feature_store import FeatureStore, RegionFeatures, feature_store, images_to_fit, mean_norms
from detkit.training.ridge import Ridge, RidgeConfig, check_features
from detkit.training.run import Run
from detkit.training.stages import StageEnd
from detkit.training.svm import ExampleBuffer, HardNegatives, SVMConfig

log = logging.getLogger("detkit.training")

FITTING_SHARE = 0.95
"""Of what a stage may take, the part after which it looks at no further image and solves for what it has seen."""
MOST_PASSES = 20
"""Passes of an exhaustive search for negatives, which ends long before."""


class StageInterrupted(Exception):  # noqa: N818  # a signal, not an error
    """The run was asked to stop."""


@dataclass(frozen=True)
class FittedStage:
    """What both have in common: features from the run's images, an evaluation at the end, a checkpoint of their own.

    Attributes:
        training: By which number the best checkpoint is chosen, and the precision in which features are made.
        cache_megabytes: What the features on disk may take, in units of 10^6 bytes.
        name: What the log calls it.
        budget_share: Of the run's budget.
    """

    training: TrainingConfig = field(default_factory=TrainingConfig)
    cache_megabytes: float = 20_000.0
    name: str = "fitted"
    budget_share: float | None = None

    def check(self, run: Run) -> None:
        """See :meth:`Stage.check`.

        Raises:
            ValueError: the detector has no layers to fit.
        """
        images_to_fit(run)

    def run(self, run: Run, state: Mapping[str, Any] | None) -> StageEnd:
        """See :meth:`Stage.run`.

        Raises:
            ValueError: the detector has no layers to fit, or several processes were started.
        """
        if state is not None:
            run.detector.load_state_dict(state["detector"])
        keeper = Checkpointer(run, self.training)
        self._save(run, keeper)
        try:
            self.fit(run, feature_store(run, self.cache_megabytes, self.training.precision))
        except StageInterrupted:
            return StageEnd(run.signals.received or "SIGTERM", True)
        numbers = run.evaluated(run.detector, 0)
        if numbers:
            keeper.note(numbers, 0, run.detector)
            for hook in run.hooks:
                hook.start(0, run.stage)
                hook.evaluation(0, numbers)
                hook.close()
        self._save(run, keeper)
        return StageEnd("finished", False, 0, keeper.numbers, keeper.best_numbers, 0)

    def fit(self, run: Run, store: FeatureStore) -> None:
        """Fill the layers."""
        raise NotImplementedError

    def _save(self, run: Run, keeper: Checkpointer) -> None:
        keeper.save_last(run.detector, {"step": 0, "detector": dict(run.detector.state_dict())}, run.minutes())


@dataclass(frozen=True)
class SVMStage(FittedStage):
    """One linear SVM a class on what the head gives: objects against regions that hardly overlap any of the class.

    Attributes:
        svm: The numbers.
    """

    svm: SVMConfig = field(default_factory=SVMConfig)
    name: str = "svm"

    def fit(self, run: Run, store: FeatureStore) -> None:
        """See :meth:`FittedStage.fit`."""
        detector: Any = run.detector
        scale, dimensions = self.svm.target_norm / mean_norms(store)[0], detector.region.fitted.svm.in_features
        most = self.svm.most_examples(dimensions, detector.num_classes)
        lots = [ExampleBuffer(max(1, most // 2), dimensions) for _ in range(detector.num_classes)]
        for found in store:
            _check_signal(run)
            for row, label in enumerate(found.labels.tolist()):
                lots[label].add(found.hidden[row])
        miners = [HardNegatives(lot.rows, self.svm, scale, most) for lot in lots]
        for number in range(MOST_PASSES if self.svm.exhaustive else self.svm.passes):
            for miner in miners:
                miner.found = 0
            self._pass(run, store, miners)
            log.info("svm: pass %d: %d hard negatives, %d fits", number + 1, sum(m.found for m in miners), sum(m.fits for m in miners))
            if run.is_late(FITTING_SHARE) or (self.svm.exhaustive and not any(miner.found for miner in miners)):
                break
        fitted = detector.region.fitted
        weights = torch.from_numpy(np.stack([miner.weights for miner in miners]) * np.float32(scale))
        fitted.svm.weight.data.copy_(weights)
        fitted.svm.bias.data.copy_(torch.tensor([miner.bias for miner in miners]))
        fitted.has_svm.fill_(True)

    def _pass(self, run: Run, store: FeatureStore, miners: list[HardNegatives]) -> None:
        for place, found in enumerate(store):
            _check_signal(run)
            overlaps, keys = found.overlaps(), place * 1_000_000 + np.arange(len(found.hidden))
            weights, biases = np.stack([miner.weights * np.float32(miner.scale) for miner in miners], 1), [miner.bias for miner in miners]
            margins = found.hidden.astype(np.float32) @ weights + np.array(biases, np.float32)
            for label, miner in enumerate(miners):
                own = overlaps[:, found.labels == label]
                # The objects of other classes are examples too, as in the released code.
                hard = (own.max(1, initial=0.0) < self.svm.negative_iou) & (margins[:, label] > self.svm.hard_margin)
                miner.look(found.hidden[hard], keys[hard], margins[hard, label])
            if run.is_late(FITTING_SHARE):
                log.warning("warning: svm: the budget ends the search for hard negatives after %d of %d images", place + 1, len(store))
                break
        for miner in miners:
            miner.finish()


@dataclass(frozen=True)
class BoxRegressionStage(FittedStage):
    """One ridge regressor of boxes a class.

    Attributes:
        ridge: The numbers.
    """

    ridge: RidgeConfig = field(default_factory=RidgeConfig)
    name: str = "boxes"

    def check(self, run: Run) -> None:
        """See :meth:`Stage.check`.

        Raises:
            ValueError: as for any fitted stage, or a region has too many features.
        """
        super().check(run)
        detector: Any = run.detector
        check_features(detector.region.fitted.boxes.in_features)

    def fit(self, run: Run, store: FeatureStore) -> None:
        """See :meth:`FittedStage.fit`."""
        detector: Any = run.detector
        layer = detector.region.fitted.boxes
        scale = self.ridge.target_norm / mean_norms(store)[1]
        with TemporaryDirectory(prefix="regions-", dir=store.folder) as folder:
            rows = RegionRows(Path(folder), layer.in_features)
            for found in store:
                _check_signal(run)
                if run.is_late(FITTING_SHARE):
                    log.warning("warning: boxes: the budget ends the look at the images; regressors follow from those seen")
                    break
                for label, features, wanted in self._examples(found, detector.region.config.box_weights):
                    rows.add(label, features, wanted)
            for label in range(detector.num_classes):
                _check_signal(run)
                self._solve(rows, label, scale, layer)
        detector.region.fitted.has_boxes.fill_(True)

    def _examples(self, found: RegionFeatures, box_weights: tuple[float, float, float, float]) -> Iterator[tuple[int, Halves, Floats]]:
        """Of each class in a image: the features of the regions that belong to its objects, and the deltas to these."""
        near = found.overlaps()[found.near]
        for label in np.unique(found.labels).tolist():
            objects = np.flatnonzero(found.labels == label)
            overlaps = near[:, objects]
            chosen = np.flatnonzero(overlaps.max(1) > self.ridge.min_iou)
            best = torch.from_numpy(found.boxes[objects[overlaps[chosen].argmax(1)]])
            wanted = encode(best, torch.from_numpy(found.boxes[found.near[chosen]]), box_weights)
            yield label, found.pooled[chosen], wanted.numpy()

    def _solve(self, rows: RegionRows, label: int, scale: float, layer: nn.Linear) -> None:
        """Fill the rows of a class in the layer."""
        ridge = Ridge(layer.in_features)
        for features, wanted in rows.of(label):
            ridge.add(features.astype(np.float32) * np.float32(scale), wanted)
        weights, biases = ridge.solve(self.ridge.penalty)
        place = slice(4 * label, 4 * label + 4)
        layer.weight.data[place] = torch.from_numpy(weights * scale).to(layer.weight)
        layer.bias.data[place] = torch.from_numpy(biases).to(layer.bias)
        log.info("boxes: class %d: %d regions", label, ridge.count)


def _check_signal(run: Run) -> None:
    if run.signals.received is not None:
        raise StageInterrupted
