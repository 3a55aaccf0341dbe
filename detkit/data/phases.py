"""Batches that change during a training, as when augmentation stops before its end."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Phase(Generic[T]):
    """A part of a training with its own batches.

    Attributes:
        start: Fraction of the training from which it lasts, until the next phase starts.
        batches: Returns an endless iterable of the batches, starting at a batch.
        description: Text for the log.
    """

    start: float
    batches: Callable[[int], Iterable[T]]
    description: str = ""


class PhasedBatches(Generic[T]):
    """Iterate over batches, exactly from the step on at which a phase starts over those of this phase.

    Batches that worker processes have prepared for the previous phase are discarded, so that a batch depends only on its index and on
    the progress, not on the number of workers or on where the training was resumed.

    Args:
        phases: The phases, in order; the first one starts at 0.
    """

    def __init__(self, phases: Sequence[Phase[T]]) -> None:
        self._phases = tuple(phases)
        self._phase: int | None = None
        self._batches: Iterator[T] = iter(())

    def start(self, index: int, progress: float) -> None:
        """Start at a batch, unless the batches of the phase have started already.

        Args:
            index: Index of the next batch.
            progress: Fraction of the training that is done.
        """
        phase = max(0, bisect_right([phase.start for phase in self._phases], progress) - 1)
        if phase == self._phase:
            return
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()  # ends the worker processes of the previous phase before those of the next one start
        if len(self._phases) > 1:
            _log.info("%.0f %% of the training: %s", 100 * progress, self._phases[phase].description)
        self._batches, self._phase = iter(self._phases[phase].batches(index)), phase

    def next(self, index: int, progress: float) -> T:
        """Return a batch; see :meth:`start`."""
        self.start(index, progress)
        return next(self._batches)
