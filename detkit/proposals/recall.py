"""How well proposals cover the objects of a data set, for any number of proposals."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from detkit.ops.boxes import box_iou
from detkit.structures import Proposals, Targets


@dataclass(frozen=True)
class RecallNumbers:
    """How well objects are covered; NaN where there are none.

    Attributes:
        recall_50: Share of the objects that some proposal meets with an IoU of at least .5.
        recall_70: The same at .7.
        mabo: Mean over the classes of the mean best IoU of their objects (IJCV 2013, section 5.1).
        average_recall: Recall averaged over IoU thresholds from .5 to 1 (Hosang et al., arXiv:1502.05082, section 5.3).
        proposals: Mean number of proposals of a image.
    """

    recall_50: float
    recall_70: float
    mabo: float
    average_recall: float
    proposals: float

    def to_dict(self) -> dict[str, float | None]:
        """By name, for JSON: None for NaN."""
        return {name: None if np.isnan(value) else value for name, value in asdict(self).items()}


class ProposalRecall:
    """Collects the proposals of images and tells how many objects the first so many of them cover.

    Crowds are left out; difficult objects are objects (as in Hosang et al.). An object may be met by several proposals, and one
    proposal may meet several objects.
    """

    def __init__(self) -> None:
        self.counts: list[int] = []
        """Proposals of each image."""
        self._labels: list[int] = []
        self._ranks: list[NDArray[np.int64]] = []
        self._overlaps: list[NDArray[np.float32]] = []

    @property
    def objects(self) -> int:
        """How many there were."""
        return len(self._labels)

    def add(self, targets: Targets, proposals: Proposals) -> None:
        """Count one image, whose proposals come best first."""
        targets = targets[~targets.is_crowd]
        self.counts.append(len(proposals))
        self._labels += targets.labels.tolist()
        overlaps = box_iou(targets.boxes, proposals.boxes).numpy()
        for row in overlaps:
            # Of the best IoU so far only the places where it rises are kept.
            best = np.maximum.accumulate(row)
            rises = np.flatnonzero(np.diff(best, prepend=0.0) > 0)
            self._ranks.append(rises)
            self._overlaps.append(best[rises])

    def best(self, count: int | None = None) -> NDArray[np.float64]:
        """For every object the best IoU with the first ``count`` proposals of its image, 0 without any."""
        places = [len(ranks) if count is None else int(np.searchsorted(ranks, count)) for ranks in self._ranks]
        return np.array(
            [values[place - 1] if place else 0.0 for values, place in zip(self._overlaps, places, strict=True)], dtype=np.float64
        )

    def numbers(self, count: int | None = None) -> RecallNumbers:
        """The numbers for the first ``count`` proposals of each image; for all of them unless given."""
        best, labels = self.best(count), np.array(self._labels, dtype=np.int64)
        used = [found if count is None else min(found, count) for found in self.counts]
        if not len(best):
            nothing = float("nan")
            return RecallNumbers(nothing, nothing, nothing, nothing, float(np.mean(used)) if used else nothing)
        return RecallNumbers(
            float((best >= 0.5).mean()),
            float((best >= 0.7).mean()),
            float(np.mean([best[labels == label].mean() for label in np.unique(labels)])),
            float(2 * np.maximum(best - 0.5, 0).mean()),
            float(np.mean(used)),
        )

    def curve(self) -> list[tuple[int, RecallNumbers]]:
        """The numbers for 1, 2, 5, 10, 20, 50, ... proposals of each image, up to the most that any has."""
        most = max(self.counts, default=0)
        steps = [step * 10**power for power in range(8) for step in (1, 2, 5)]
        counts = [step for step in steps if step < most] + ([most] if most else [])
        return [(count, self.numbers(count)) for count in counts]
