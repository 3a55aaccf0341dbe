"""Overlaps between the labels and the detections of one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Features, Flags, Floats, Integers
from detkit.ops.box_arrays import paired_iou

CROWD_SHARE = 0.5
"""A detection of which at least this share lies in a crowd or ignore region is not considered."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Labels and detections of one image.

    Attributes:
        size: Its ``(height, width)``.
        boxes: ``(N, 4)`` boxes of the labels, crowds left out.
        labels: ``(N,)`` their classes.
        known: ``(N,)`` whether the detector knows the class.
        detected: ``(M, 4)`` detected boxes outside of crowds, best first.
        detected_labels: ``(M,)`` their classes, of the data.
        scores: ``(M,)`` their scores.
    """

    size: tuple[int, int]
    boxes: Floats
    labels: Integers
    known: Flags
    detected: Floats
    detected_labels: Integers
    scores: Floats

    @property
    def scale(self) -> float:
        """Geometric mean of the sides of the image."""
        return float(np.sqrt(max(self.size[0] * self.size[1], 1)))


def iou_matrix(first: Features, second: Features) -> Features:
    """Return the IoU of all pairs, ``(N, M)``."""
    return paired_iou(first[:, None], second[None])


def share_inside(inner: Features, outer: Features) -> Features:
    """Return which share of each of ``(N, 4)`` boxes lies in each of ``(M, 4)`` boxes, ``(N, M)``."""
    low, high = np.maximum(inner[:, None, :2], outer[None, :, :2]), np.minimum(inner[:, None, 2:], outer[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    result: Features = shared / np.maximum(areas(inner), 1e-9)[:, None]
    return result


def areas(boxes: Features) -> Features:
    """Return the areas of ``(N, 4)`` boxes."""
    result: Features = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1)
    return result


def relative_sizes(boxes: Features, scale: float) -> Features:
    """Return the logarithm of the boxes' mean side over that of the image, from about -5 (tiny) to 0."""
    result: Features = np.log(np.maximum(np.sqrt(areas(boxes)) / scale, 1e-3))
    return result


def largest(values: Features, axis: int) -> Features:
    """Return the largest values along an axis, 0 where it is empty."""
    result: Features = values.max(axis, initial=0.0)
    return result


def largest_of_others(values: Features) -> Features:
    """Return for each element of ``(N, M)`` the largest value of its column in other rows, 0 without others."""
    if not values.size:
        return values
    best = values.argmax(0)
    columns = np.arange(values.shape[1])
    top = values[best, columns]
    rest = values.copy()
    rest[best, columns] = 0.0
    second = rest.max(0)
    result: Features = np.where(np.arange(len(values))[:, None] == best[None], second[None], top[None])
    return result


def match(ious: Features, same: Flags, least: float = 0.5) -> Integers:
    """Return for each detection, best first, the label of its class that it matches, -1 for none; each label is matched once.

    Args:
        ious: ``(N, M)`` of labels and detections.
        same: ``(N, M)`` whether their classes are equal.
        least: Lowest IoU of a match.
    """
    allowed = np.where(same & (ious >= least), ious, 0.0)
    matched = np.full(ious.shape[1], -1, np.int64)
    for detection in np.flatnonzero(allowed.any(0)) if len(ious) else ():
        label = int(allowed[:, detection].argmax())
        if allowed[label, detection] > 0:
            matched[detection] = label
            allowed[label] = 0.0
    return matched
