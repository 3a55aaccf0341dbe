"""Recall of proposals on a labeled dataset, for any number of proposals."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from detkit.ops.boxes import box_iou
from detkit.structures import Proposals, Targets


@dataclass(frozen=True)
class RecallNumbers:
    """Recall metrics of proposals; NaN without objects.

    Attributes:
        recall_50: Fraction of the objects that some proposal overlaps with an IoU of at least .5.
        recall_70: The same at an IoU of .7.
        mabo: Mean average best overlap: the mean over classes of the mean best IoU of their objects (IJCV 2013, section 5.1).
        average_recall: Recall averaged over IoU thresholds from .5 to 1 (Hosang et al., arXiv:1502.05082, section 5.3).
        proposals: Mean number of proposals per image.
    """

    recall_50: float
    recall_70: float
    mabo: float
    average_recall: float
    proposals: float

    def to_dict(self) -> dict[str, float | None]:
        """Return a JSON-serializable dict, with None for NaN."""
        return {name: None if np.isnan(value) else value for name, value in asdict(self).items()}


class ProposalRecall:
    """Collects the proposals of images and computes the recall of the best N per image.

    Crowds are left out, difficult objects are included (as in Hosang et al.). Several proposals can match one object, and one
    proposal can match several objects.
    """

    def __init__(self) -> None:
        self.counts: list[int] = []
        """Number of proposals of each image."""
        self._labels: list[int] = []
        self._ranks: list[NDArray[np.int64]] = []
        self._ious: list[NDArray[np.float32]] = []

    @property
    def objects(self) -> int:
        """Number of objects."""
        return len(self._labels)

    def add(self, targets: Targets, proposals: Proposals) -> None:
        """Add one image and its proposals, best first."""
        targets = targets[~targets.is_crowd]
        self.counts.append(len(proposals))
        self._labels += targets.labels.tolist()
        for row in box_iou(targets.boxes, proposals.boxes).numpy():
            # Keep only the ranks at which the best IoU so far increases.
            best = np.maximum.accumulate(row)
            ranks = np.flatnonzero(np.diff(best, prepend=0.0) > 0)
            self._ranks.append(ranks)
            self._ious.append(best[ranks])

    def best(self, count: int | None = None) -> NDArray[np.float64]:
        """Return for each object the best IoU with the first ``count`` proposals of its image, 0 without any."""
        steps = [len(ranks) if count is None else int(np.searchsorted(ranks, count)) for ranks in self._ranks]
        return np.array([values[step - 1] if step else 0.0 for values, step in zip(self._ious, steps, strict=True)], dtype=np.float64)

    def numbers(self, count: int | None = None) -> RecallNumbers:
        """Return the metrics for the first ``count`` proposals of each image, by default all."""
        best, labels = self.best(count), np.array(self._labels, dtype=np.int64)
        used = [total if count is None else min(total, count) for total in self.counts]
        if not len(best):
            nan = float("nan")
            return RecallNumbers(nan, nan, nan, nan, float(np.mean(used)) if used else nan)
        return RecallNumbers(
            float((best >= 0.5).mean()),
            float((best >= 0.7).mean()),
            float(np.mean([best[labels == label].mean() for label in np.unique(labels)])),
            float(2 * np.maximum(best - 0.5, 0).mean()),
            float(np.mean(used)),
        )

    def curve(self) -> list[tuple[int, RecallNumbers]]:
        """Return the metrics for 1, 2, 5, 10, 20, 50, ... proposals per image, up to the maximum."""
        largest = max(self.counts, default=0)
        steps = [step * 10**power for power in range(8) for step in (1, 2, 5)]
        counts = [step for step in steps if step < largest] + ([largest] if largest else [])
        return [(count, self.numbers(count)) for count in counts]
