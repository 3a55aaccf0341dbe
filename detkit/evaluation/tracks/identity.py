"""IDF1: how many boxes have the right id when each labeled track is matched to at most one track of the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from detkit.evaluation.tracks.rows import Comparison

_MIN_IOU = 0.5


@dataclass(frozen=True)
class Identity:
    """Counts of boxes by the best matching of whole tracks (Ristani et al., Performance Measures for Multi-Camera Tracking, 2016).

    Attributes:
        true_positives: Boxes with the id of their labeled track.
        false_negatives: Labels without it.
        false_positives: Results without it.
    """

    true_positives: int
    false_negatives: int
    false_positives: int

    @classmethod
    def sum(cls, parts: Sequence[Identity]) -> Identity:
        """Return the counts of several sequences together."""
        rows = [(part.true_positives, part.false_negatives, part.false_positives) for part in parts]
        return cls(*(sum(column) for column in zip(*rows, strict=True))) if rows else cls(0, 0, 0)

    def as_dict(self) -> dict[str, float]:
        """Return the metrics by their usual names."""
        right, missed, wrong = self.true_positives, self.false_negatives, self.false_positives
        return {
            "IDF1": right / max(1.0, right + 0.5 * wrong + 0.5 * missed),
            "IDR": right / max(1.0, right + missed),
            "IDP": right / max(1.0, right + wrong),
            "IDTP": right,
            "IDFN": missed,
            "IDFP": wrong,
        }


def identity_of(comparison: Comparison) -> Identity:
    """Match whole tracks so that the number of wrong and missed boxes is smallest, and count them."""
    shape = comparison.truth_tracks, comparison.result_tracks
    together, truth, results = np.zeros(shape), np.zeros(shape[0]), np.zeros(shape[1])
    for frame in comparison.frames:
        rows, columns = np.nonzero(frame.iou >= _MIN_IOU)
        together[frame.truth[rows], frame.results[columns]] += 1
        truth[frame.truth] += 1
        results[frame.results] += 1
    # A track without a partner costs all its boxes, so a matching is best where most boxes of partners are together.
    rows, columns = linear_sum_assignment(together, maximize=True)
    right = int(together[rows, columns].sum())
    return Identity(right, comparison.truth_boxes - right, comparison.result_boxes - right)
