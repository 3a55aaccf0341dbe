"""One-to-one matching of tracks and detections that maximizes the sum of their similarities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from detkit.arrays import Doubles, Integers
from detkit.ops.box_arrays import paired_iou


class Matches(NamedTuple):
    """Matched pairs.

    Attributes:
        tracks: ``(M,)`` indices of tracks, ascending.
        detections: ``(M,)`` indices of their detections.
    """

    tracks: Integers
    detections: Integers


def match(similarity: Doubles, min_similarity: float) -> Matches:
    """Return the best assignment, without the pairs of which the similarity is below ``min_similarity``.

    Of several best assignments, it is the one that ``scipy.optimize.linear_sum_assignment`` returns.

    Args:
        similarity: ``(T, N)`` similarity of each track and each detection.
        min_similarity: Lowest similarity of a pair.
    """
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    keep = similarity[rows, columns] >= min_similarity
    return Matches(rows[keep], columns[keep])


def similarities(predicted: Doubles, boxes: Doubles, same: Doubles | None = None) -> Doubles:
    """Return the IoU of every predicted box ``(T, 4)`` and detection ``(N, 4)``, ``(T, N)``; -1 where ``same`` is False."""
    ious: Doubles = paired_iou(predicted[:, None], boxes[None]).astype(np.float64, copy=False)
    return ious if same is None else np.where(same, ious, -1.0)
