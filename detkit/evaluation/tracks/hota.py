"""HOTA: the geometric mean of how well objects are detected and how well detections are joined to tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from detkit.arrays import Doubles
from detkit.evaluation.tracks.rows import Comparison

THRESHOLDS: Doubles = np.arange(0.05, 0.99, 0.05)
"""IoUs from which a result can be a match; the metrics are means over them."""
_EPSILON = float(np.finfo(np.float64).eps)
_TINY = 1e-10


@dataclass(frozen=True, eq=False)
class Hota:
    """Counts and sums at each of the 19 thresholds (Luiten et al., HOTA: A Higher Order Metric, IJCV 2021), shape ``(19,)`` each.

    Attributes:
        true_positives: Labels with a result.
        false_negatives: Labels without one.
        false_positives: Results without a label.
        association: Sum over the matches of the Jaccard index of the two tracks that are matched.
        association_recall: The same for the part of the labeled track.
        association_precision: The same for the part of the track of the results.
        iou: Sum of the IoUs of the matches.
    """

    true_positives: Doubles
    false_negatives: Doubles
    false_positives: Doubles
    association: Doubles
    association_recall: Doubles
    association_precision: Doubles
    iou: Doubles

    @classmethod
    def sum(cls, parts: Sequence[Hota]) -> Hota:
        """Return the counts of several sequences together."""
        zeros = np.zeros(len(THRESHOLDS))
        return cls(*(zeros + sum(getattr(part, name) for part in parts) for name in cls.__dataclass_fields__))

    def as_dict(self) -> dict[str, float]:
        """Return the means of the metrics over the thresholds by their usual names."""
        found = np.maximum(1.0, self.true_positives)
        detection = self.true_positives / np.maximum(1.0, self.true_positives + self.false_negatives + self.false_positives)
        association = self.association / found
        numbers = {
            "HOTA": np.sqrt(detection * association),
            "DetA": detection,
            "AssA": association,
            "DetRe": self.true_positives / np.maximum(1.0, self.true_positives + self.false_negatives),
            "DetPr": self.true_positives / np.maximum(1.0, self.true_positives + self.false_positives),
            "AssRe": self.association_recall / found,
            "AssPr": self.association_precision / found,
            "LocA": np.maximum(_TINY, self.iou) / np.maximum(_TINY, self.true_positives),
        }
        return {name: float(value.mean()) for name, value in numbers.items()}


def hota_of(comparison: Comparison) -> Hota:
    """Match labels and results frame by frame so that tracks that belong together are preferred, and count at every threshold."""
    shape, count = (comparison.truth_tracks, comparison.result_tracks), len(THRESHOLDS)
    if not comparison.truth_boxes or not comparison.result_boxes:
        zeros, ones = np.zeros(count), np.ones(count)
        return Hota(zeros, ones * comparison.truth_boxes, ones * comparison.result_boxes, zeros, zeros, zeros, zeros)
    together, truth, results = _alignment(comparison)
    alignment = together / (truth + results - together)
    matches, iou = np.zeros((count, *shape)), np.zeros(count)
    for frame in comparison.frames:
        scores = alignment[frame.truth[:, None], frame.results] * frame.iou
        rows, columns = linear_sum_assignment(scores, maximize=True)
        values = frame.iou[rows, columns]
        for index, threshold in enumerate(THRESHOLDS):
            keep = values >= threshold - _EPSILON
            matches[index, frame.truth[rows[keep]], frame.results[columns[keep]]] += 1
            iou[index] += values[keep].sum()
    right = matches.sum((1, 2))
    union, recall, precision = (
        (matches * (matches / np.maximum(1, size))).sum((1, 2)) for size in (truth + results - matches, truth, results)
    )
    missed, wrong = comparison.truth_boxes - right, comparison.result_boxes - right
    return Hota(right, missed, wrong, union, recall, precision, iou)


def _alignment(comparison: Comparison) -> tuple[Doubles, Doubles, Doubles]:
    """Return how far each pair of tracks is together, ``(M, N)``, and the lengths of the tracks, ``(M, 1)`` and ``(1, N)``."""
    together = np.zeros((comparison.truth_tracks, comparison.result_tracks))
    truth, results = np.zeros((comparison.truth_tracks, 1)), np.zeros((1, comparison.result_tracks))
    for frame in comparison.frames:
        total = frame.iou.sum(0)[None] + frame.iou.sum(1)[:, None] - frame.iou
        share = np.divide(frame.iou, total, out=np.zeros_like(total), where=total > _EPSILON)
        together[frame.truth[:, None], frame.results] += share
        truth[frame.truth] += 1
        results[0, frame.results] += 1
    return together, truth, results
