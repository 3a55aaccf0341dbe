"""The files of a training run: best and newest checkpoint, resumable state and drawn batches; also decides on early stopping."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from detkit.about import __version__
from detkit.checkpoint import read_header, save_checkpoint, save_state
from detkit.checkpoint.fields import check_fields
from detkit.checkpoint.operating_points import HEADER_FIELD
from detkit.registry import did_you_mean
from detkit.training.config import TrainingConfig
from detkit.training.drawings import draw_batch
from detkit.training.kept_detections import keep
from detkit.training.run import Run
from detkit.training.saved_state import KEEPER

if TYPE_CHECKING:
    from detkit.data.loader import SampleBatch

_log = logging.getLogger(__name__)

STATE_FORMAT = 1
"""Version of the resumable state. It changes whenever an older state could no longer be resumed exactly."""

_DRAWN_BATCHES = 2
_UNSAVED_SECONDS = 60.0
"""Seconds of training that may be lost if an evaluation fails."""


def format_metric(value: float) -> str:
    """Format a metric for the log; ``-`` if it is not finite, as for validation data without objects."""
    return f"{value:.4f}" if math.isfinite(value) else "-"


class Checkpointer:
    """Keep track of the best evaluation of a stage and write the files of the run (in the first process only).

    Raises:
        ValueError: If the evaluation announces its metrics and ``training.best_metric`` is not one of them.
    """

    def __init__(self, run: Run, config: TrainingConfig) -> None:
        self.run, self.config = run, config
        self.best: float | None = None
        self.best_step = 0
        self.best_numbers: dict[str, float] = {}
        self.numbers: dict[str, float] = {}
        self.points: dict[str, Any] | None = None
        self.best_points: dict[str, Any] | None = None
        self.without_gain = 0
        self._reference = -math.inf
        self._last_saved: float | None = None
        self._started = time.monotonic()
        self._best_is_unwritten = False
        if run.data.metrics:
            self._check_metric(run.data.metrics)

    def add_evaluation(self, numbers: Mapping[str, float], step: int) -> None:
        """Record an evaluation; the next :meth:`save_last` writes the best checkpoint if it is the best so far.

        Raises:
            ValueError: If ``training.best_metric`` is not among the metrics.
        """
        name = self.config.best_metric
        self._check_metric(list(numbers))
        value = numbers[name]
        value = -math.inf if math.isnan(value) else value
        self.numbers = dict(numbers)
        self.points = None if self.run.operating_points is None else self.run.operating_points.to_dict()
        gain = self.config.early_stopping.min_gain if self.config.early_stopping else 0.0
        self.without_gain = 0 if value > self._reference + gain else self.without_gain + 1
        if self.without_gain == 0:
            self._reference = value
        is_best = False
        if self.best is None or value > self.best:
            is_best = True
            self.best, self.best_step, self.best_numbers, self.best_points = value, step, dict(numbers), self.points
            self._best_is_unwritten = True
        keep(self.run.detections, self.run.folder.path, best=is_best)
        self.run.detections = None
        _log.info("step %d: %s %s (best %s at step %d)", step, name, format_metric(value), format_metric(self.best), self.best_step)

    def should_stop(self) -> bool:
        """Return whether early stopping has run out of patience."""
        rule = self.config.early_stopping
        return rule is not None and self.without_gain >= rule.patience

    def save_due(self) -> bool:
        """Return whether the last write was ``save_minutes`` ago or earlier."""
        return time.monotonic() - (self._last_saved or self._started) >= 60 * self.config.save_minutes

    def must_save_before_evaluation(self) -> bool:
        """Return whether a failing evaluation would lose more than a minute of training, or everything; equal in all processes."""
        late = self._last_saved is not None and time.monotonic() - self._last_saved > _UNSAVED_SECONDS
        return self._last_saved is None or self.run.processes.sum(float(late and self.run.processes.first))[0] > 0

    def save_last(self, model: nn.Module, state: Mapping[str, Any], minutes: float) -> None:
        """Write the resumable state, then the best checkpoint if it is a new one, then the newest.

        The state comes first: it has all that is needed to write the others again, as :meth:`restore_checkpoints` does.
        """
        self._last_saved = time.monotonic()
        parts = self.run.parts()
        if not self.run.processes.first:
            return
        shared: dict[str, Any] = {"format": STATE_FORMAT, "detkit": __version__}
        shared |= {"class_names": list(self.run.header["class_names"]), "images_seen": self.run.images_seen, "core_minutes": minutes}
        shared |= {"parts": parts, "evaluation_minutes": self.run.evaluation_minutes, "wall_minutes": self.run.clock.wall_minutes()}
        shared |= {"data": {use: asdict(fingerprint) for use, fingerprint in self.run.fingerprints.items()}}
        inside = {"minutes_before": self.run.stage_start_minutes, **state}
        try:
            save_state(self.run.folder.state, {"stage": self.run.stage, **shared, "inside": inside})
        except OSError:
            self._keep_weights(model, state["step"])
            raise
        if self._best_is_unwritten:
            self._write(self.run.folder.best, model, self.best_step, self._header(best=True))
            self._best_is_unwritten = False
        self._write(self.run.folder.last, model, state["step"], self._header())
        self.run.copies.update(self.run.folder)

    def _keep_weights(self, model: nn.Module, step: int) -> None:
        """Write the weights, which are smaller than a state, if the first state of a run does not fit the disk."""
        if self.run.folder.state.exists():
            return
        with suppress(OSError):
            self._write(self.run.folder.last, model, step, self._header())
            _log.warning("warning: the state does not fit the disk, so only the weights are kept: weights=%s", self.run.folder.last)

    def draw_batch(self, step: int, batch: SampleBatch) -> None:
        """Draw the first batches with their targets."""
        if step < _DRAWN_BATCHES and self.run.processes.first:
            draw_batch(self.run.folder.images / f"train_batch_{step + 1}.jpg", batch, self.run.header["class_names"])

    def state(self) -> dict[str, Any]:
        """Return the state for :meth:`load`."""
        return {name: getattr(self, name) for name in KEEPER}

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from the result of :meth:`state`."""
        check_fields(state, KEEPER, f"training state {self.run.folder.state}: evaluations", "start a new run")
        for name in KEEPER:
            setattr(self, name, state.get(name))

    def restore_checkpoints(self, model: nn.Module, step: int) -> None:
        """Write the checkpoints that the run could not write after it had saved its state."""
        if not self.run.processes.first:
            return
        if self.best is not None and self.best_step == step:
            self._restore(self.run.folder.best, model, step, self._header(best=True))
        self._restore(self.run.folder.last, model, step, self._header())

    def _restore(self, path: Path, model: nn.Module, step: int, evaluated: Mapping[str, Any]) -> None:
        header = read_header(path) if path.is_file() else {}
        if header.get("step") != step or header.get("metrics") != evaluated["metrics"]:
            self._write(path, model, step, evaluated)

    def _header(self, *, best: bool = False) -> dict[str, Any]:
        """Return the fields of a checkpoint's header about its evaluation: the newest one or the best one."""
        points = self.best_points if best else self.points
        return {"metrics": dict(self.best_numbers if best else self.numbers), **({} if points is None else {HEADER_FIELD: points})}

    def _check_metric(self, names: Sequence[str]) -> None:
        name = self.config.best_metric
        if name not in names:
            raise ValueError(f"training.best_metric: unknown metric {name!r}: {did_you_mean(name, list(names))}")

    def _write(self, path: Path, model: nn.Module, step: int, evaluated: Mapping[str, Any]) -> None:
        if self.run.processes.first:
            save_checkpoint(path, model.state_dict(), {**self.run.header, **evaluated, "step": step})
