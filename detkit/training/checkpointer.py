"""What a run keeps on disk: its best and its newest checkpoint, its resumable state, drawn batches; and when to stop early."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from detkit import __version__
from detkit.checkpoint import save_checkpoint, save_state
from detkit.registry import did_you_mean
from detkit.training.batch_drawing import draw_batch
from detkit.training.config import TrainingConfig
from detkit.training.run import Run

if TYPE_CHECKING:
    from detkit.data.loader import SampleBatch

log = logging.getLogger("detkit.training")

STATE_FORMAT = 1
"""The version of what resuming reads; it changes whenever a state of before could not be gone on with exactly."""

_DRAWN_BATCHES = 2


def in_words(value: float) -> str:
    """A number of an evaluation, in a log; a stroke where there is none, as without objects to be found."""
    return f"{value:.4f}" if math.isfinite(value) else "-"


class Checkpointer:
    """Remembers the best evaluation of a stage and writes its files, in the first process.

    Raises:
        ValueError: the evaluation says beforehand that it has no number of the name ``training.best_metric``.
    """

    def __init__(self, run: Run, config: TrainingConfig) -> None:
        self.run, self.config = run, config
        self.best: float | None = None
        self.best_step = 0
        self.best_numbers: dict[str, float] = {}
        self.numbers: dict[str, float] = {}
        self.without_gain = 0
        self._reference = -math.inf
        self._saved = time.monotonic()
        names = getattr(run.data.evaluate, "names", None)
        if names is not None:
            self._check_metric(names)

    def note(self, numbers: Mapping[str, float], step: int, model: nn.Module) -> None:
        """Take in an evaluation; write the best checkpoint if it is the best so far.

        Raises:
            ValueError: the evaluation has no number of the name ``training.best_metric``.
        """
        name = self.config.best_metric
        self._check_metric(list(numbers))
        value = numbers[name]
        value = -math.inf if math.isnan(value) else value
        self.numbers = dict(numbers)
        gain = self.config.early_stopping.min_gain if self.config.early_stopping else 0.0
        self.without_gain = 0 if value > self._reference + gain else self.without_gain + 1
        if self.without_gain == 0:
            self._reference = value
        if self.best is None or value > self.best:
            self.best, self.best_step, self.best_numbers = value, step, dict(numbers)
            self._write(self.run.folder.best, model, step, numbers)
        log.info("step %d: %s %s (best %s at step %d)", step, name, in_words(value), in_words(self.best), self.best_step)

    def should_stop(self) -> bool:
        """Whether early stopping has run out of patience."""
        rule = self.config.early_stopping
        return rule is not None and self.without_gain >= rule.patience

    def save_due(self) -> bool:
        """Whether the last write is ``save_minutes`` ago."""
        return time.monotonic() - self._saved >= 60 * self.config.save_minutes

    def save_last(self, model: nn.Module, state: Mapping[str, Any], minutes: float) -> None:
        """Write the resumable state, then the newest checkpoint."""
        self._saved = time.monotonic()
        parts = self.run.parts()
        if not self.run.processes.first:
            return
        shared: dict[str, Any] = {"format": STATE_FORMAT, "detkit": __version__}
        shared |= {"class_names": list(self.run.header["class_names"]), "images_seen": self.run.images_seen, "core_minutes": minutes}
        shared |= {"parts": parts, "evaluation_minutes": self.run.evaluation_minutes}
        save_state(self.run.folder.state, {"stage": self.run.stage, **shared, "inside": {"minutes_before": self.run.begun, **state}})
        self._write(self.run.folder.last, model, state["step"], self.numbers)

    def draw_batch(self, step: int, batch: SampleBatch) -> None:
        """Draw the first batches with their targets."""
        if step < _DRAWN_BATCHES and self.run.processes.first:
            draw_batch(self.run.folder.images / f"train_batch_{step + 1}.jpg", batch, self.run.header["class_names"])

    def state(self) -> dict[str, Any]:
        """What :meth:`load` needs."""
        names = ("best", "best_step", "best_numbers", "numbers", "without_gain", "_reference")
        return {name: getattr(self, name) for name in names}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        for name, value in state.items():
            setattr(self, name, value)

    def _check_metric(self, names: Sequence[str]) -> None:
        name = self.config.best_metric
        if name not in names:
            raise ValueError(f"training.best_metric: the evaluation has no {name!r}: {did_you_mean(name, list(names))}")

    def _write(self, path: Any, model: nn.Module, step: int, numbers: Mapping[str, float]) -> None:
        if self.run.processes.first:
            save_checkpoint(path, model.state_dict(), {**self.run.header, "metrics": dict(numbers), "step": step})
