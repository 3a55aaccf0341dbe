"""Scores from which a tracker uses detections, derived from the lowest scores that a predictor reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.arrays import Doubles, Floats, Integers
from detkit.inference.min_scores import MinScores
from detkit.structures.detection import DetectionArrays

NEW_MARGIN = 0.1
"""Margin above the score from which objects are reported, from which a detection starts a track, as in ByteTrack's code."""
LOW_SHARE = 0.5
"""Lowest score of detections that continue a track where none with a better score does, as a share of the score of reported objects.

Both were measured with the embedded detector on camera pans over 16 photographs of COCO: of shares from .1 to 1 and margins from 0 to .2,
these have the best HOTA, .509; with ByteTrack's published scores (.6, .7 and .1), which suit another detector, it is .324.
"""
_EDGE = 1e-3
"""Distance of an operating point from 0 and 1, so that every score has its own scaled one."""


@dataclass(frozen=True, eq=False)
class TrackScores:
    """The scores from which detections start and continue tracks, for each class.

    A class whose operating point is low has low scores in general. Its scores are scaled, by two straight lines from 0 to the point and
    from the point to 1, so that the points of all classes become one score: a tracker then needs one threshold, and the votes of a track
    that is detected as two classes are comparable. Without operating points of classes nothing changes.

    Attributes:
        high: Score from which objects are reported, on the common scale.
        by_label: ``(K,)`` that score of each class, on its own scale.
    """

    high: float
    by_label: Doubles

    @classmethod
    def of(cls, min_scores: MinScores) -> TrackScores | None:
        """Return the scores of a predictor that reports from these on; None if it reports every score, which says nothing."""
        scores = np.array(min_scores.by_label, np.float64)
        high = min_scores.overall
        return None if high <= 0 else cls(high, np.clip(scores, _EDGE, 1 - _EDGE) if min_scores.points is not None else scores)

    @property
    def low(self) -> float:
        """Lowest score, on the common scale, of detections that continue a track."""
        return self.high * LOW_SHARE

    @property
    def new(self) -> float:
        """Lowest score, on the common scale, of detections that start a track; never above the middle between ``high`` and 1."""
        return self.high + min(NEW_MARGIN, (1 - self.high) / 2)

    @property
    def scales(self) -> bool:
        """Whether the scores of any class are scaled."""
        return bool((self.by_label != self.high).any())

    def lowest(self, common: float) -> float:
        """Return the lowest score of any class, on its own scale, that becomes at least ``common``."""
        labels: Integers = np.arange(len(self.by_label))
        values = self._mapped(np.full(len(labels), common), np.full(len(labels), self.high), self.by_label)
        return float(values.min(initial=common))

    def common(self, detections: DetectionArrays) -> DetectionArrays:
        """Return the detections with scores on the common scale."""
        if not self.scales:
            return detections
        scores = self._mapped(detections.scores, self.by_label[detections.labels], np.full(len(detections), self.high))
        return detections.replace(scores=scores.astype(np.float32))

    def own(self, scores: Floats, labels: Integers) -> Floats:
        """Return scores of classes on their own scale, from those on the common one."""
        if not self.scales:
            return scores
        return self._mapped(scores, np.full(len(scores), self.high), self.by_label[labels]).astype(np.float32)

    @staticmethod
    def _mapped(scores: Any, points: Doubles, targets: Doubles) -> Doubles:
        """Return scores on scales on which each point becomes its target."""
        scores = np.asarray(scores, np.float64)
        below = scores * targets / points
        above = 1 - (1 - scores) * (1 - targets) / (1 - points)
        mapped: Doubles = np.where(scores < points, below, above)
        return mapped


def shown_scores(names: Sequence[str | None], scores: TrackScores) -> dict[str, float]:
    """Return the score from which objects of each class are reported."""
    return {name: float(score) for name, score in zip(names, scores.by_label, strict=True) if name is not None}
