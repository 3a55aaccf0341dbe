"""One-to-one matching of tracks and detections that maximizes the sum of their similarities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from detkit.arrays import Doubles, Integers
from detkit.ops.box_arrays import paired_iou

_MOST_PAIRS = 1_000_000
"""Number of pairs from which groups of boxes that overlap are matched one by one: memory for all pairs would grow with the square."""
_CHUNK = 250_000


class Matches(NamedTuple):
    """Matched pairs.

    Attributes:
        tracks: ``(M,)`` indices of tracks, ascending.
        detections: ``(M,)`` indices of their detections.
    """

    tracks: Integers
    detections: Integers


class Labels(NamedTuple):
    """Classes of tracks ``(T,)`` and of detections ``(N,)``."""

    tracks: Doubles
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


def similarities(predicted: Doubles, boxes: Doubles, labels: Labels | None = None) -> Doubles:
    """Return the IoU of every predicted box ``(T, 4)`` and detection ``(N, 4)``, ``(T, N)``; -1 for those of different classes."""
    first, second = np.asfortranarray(predicted), np.asfortranarray(boxes)  # columns in one piece are read faster
    ious: Doubles = paired_iou(first[:, None], second[None]).astype(np.float64, copy=False)
    if labels is not None:
        ious[labels.tracks[:, None] != labels.detections] = -1.0
    return ious


def match_boxes(predicted: Doubles, boxes: Doubles, labels: Labels | None, min_iou: float) -> Matches:
    """Match predicted boxes ``(T, 4)`` and detections ``(N, 4)`` by their IoU.

    Among thousands, where all pairs would take gigabytes, groups of boxes that overlap one another are matched one by one: the sum of the
    similarities is the same, and only the choice among several best assignments may differ.

    Args:
        predicted: The predicted boxes.
        boxes: The detections.
        labels: Their classes, of which only equal ones are matched; None: any.
        min_iou: Lowest IoU of a pair.
    """
    if len(predicted) * len(boxes) <= _MOST_PAIRS or min_iou <= 0:
        return match(similarities(predicted, boxes, labels), min_iou)
    rows, columns, values = _overlapping(predicted, boxes, labels)
    return _match_groups(rows, columns, values, min_iou)


def _overlapping(predicted: Doubles, boxes: Doubles, labels: Labels | None) -> tuple[Integers, Integers, Doubles]:
    """Return the indices of tracks and of detections of all pairs that overlap, and their IoUs."""
    found = []
    size = max(_CHUNK // len(boxes), 1)
    for start in range(0, len(predicted), size):
        part = slice(start, start + size)
        values = similarities(predicted[part], boxes, None if labels is None else Labels(labels.tracks[part], labels.detections))
        rows, columns = np.nonzero(values > 0)
        found.append((rows + start, columns, values[rows, columns]))
    rows, columns, ious = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows, columns, ious


def _match_groups(rows: Integers, columns: Integers, ious: Doubles, min_iou: float) -> Matches:
    """Match each group of tracks and detections that are connected by pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    tracks, row_of = np.unique(rows, return_inverse=True)
    detections, column_of = np.unique(columns, return_inverse=True)
    count = len(tracks) + len(detections)
    graph = coo_array((np.ones(len(rows), np.bool_), (row_of, column_of + len(tracks))), (count, count))
    groups = connected_components(graph, directed=False)[1][row_of]
    order = np.argsort(groups, kind="stable")
    pairs = [np.zeros((2, 0), np.int64)]
    for group in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        group_rows, group_columns = np.unique(rows[group]), np.unique(columns[group])
        similarity = np.zeros((len(group_rows), len(group_columns)))
        similarity[np.searchsorted(group_rows, rows[group]), np.searchsorted(group_columns, columns[group])] = ious[group]
        matches = match(similarity, min_iou)
        pairs.append(np.stack([group_rows[matches.tracks], group_columns[matches.detections]]))
    found = np.concatenate(pairs, axis=1)
    found = found[:, np.argsort(found[0], kind="stable")]
    return Matches(found[0], found[1])
