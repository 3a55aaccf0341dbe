"""Callbacks of a training run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """Summary of the steps since the previous record.

    Attributes:
        step: Steps made so far.
        progress: Fraction of the run that is done.
        losses: Mean of each loss term; ``total`` is their sum.
        lr: Learning rate (of the group with factor 1, otherwise of the first group).
        gradient_norm: Norm of the last gradient over all parameters, before clipping.
        images_seen: Training images so far.
        core_minutes: Processor time so far.
        seconds: Wall time per step.
        waiting: Fraction of that time spent waiting for data.
    """

    step: int
    progress: float
    losses: Mapping[str, float]
    lr: float
    gradient_norm: float
    images_seen: int
    core_minutes: float
    seconds: float
    waiting: float


class Hook:
    """Base class of callbacks; does nothing by default.

    Pass your own to :func:`detkit.train`: ``detkit.train(config, hooks=[MyHook()])``. They are called in the first process, in this order:
    ``start``; then ``after_step`` after every step, ``record`` every ``training.log_every`` steps, ``evaluating`` after every image of an
    evaluation and ``evaluation`` after it; and ``close`` in the end, also after an error. An exception in a hook ends the run.
    """

    def start(self, step: int, stage: int = 0) -> None:
        """Called when a stage, counted from 0, starts, or is resumed after ``step`` steps."""

    def after_step(self, step: int, progress: float) -> None:
        """Called after each step with the steps made and the fraction of the run that is done; must be cheap."""

    def record(self, record: Record) -> None:
        """Called every few steps with a summary of them."""

    def evaluating(self, done: int, images: int) -> None:
        """Called before the first image of an evaluation and after each, with the images done and all images of this process."""

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Called after an evaluation with its metrics."""

    def close(self) -> None:
        """Called when the stage ends, also after an error."""


class Hooks(Hook):
    """Calls each of several hooks in turn."""

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        self.hooks = tuple(hooks)

    def start(self, step: int, stage: int = 0) -> None:
        """See :meth:`Hook.start`."""
        for hook in self.hooks:
            hook.start(step, stage)

    def after_step(self, step: int, progress: float) -> None:
        """See :meth:`Hook.after_step`."""
        for hook in self.hooks:
            hook.after_step(step, progress)

    def record(self, record: Record) -> None:
        """See :meth:`Hook.record`."""
        for hook in self.hooks:
            hook.record(record)

    def evaluating(self, done: int, images: int) -> None:
        """See :meth:`Hook.evaluating`."""
        for hook in self.hooks:
            hook.evaluating(done, images)

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """See :meth:`Hook.evaluation`."""
        for hook in self.hooks:
            hook.evaluation(step, numbers)

    def close(self) -> None:
        """See :meth:`Hook.close`."""
        for hook in self.hooks:
            hook.close()
