"""The detections of a frame as a tracker needs them: checked, and with scores that are comparable between classes."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from detkit.arrays import Doubles, Integers, to_numpy

_MOST_CLASSES = 65_536


class DetectionRows(Protocol):
    """Detections of one frame: :class:`detkit.Detections`, or :class:`~detkit.structures.detection.DetectionArrays`."""

    @property
    def boxes(self) -> Any:
        """``(N, 4)`` ``x1 y1 x2 y2``."""

    @property
    def scores(self) -> Any:
        """``(N,)`` from 0 to 1."""

    @property
    def labels(self) -> Any:
        """``(N,)`` classes."""

    @property
    def class_names(self) -> tuple[str | None, ...] | None:
        """Names of the classes."""


class Observations(NamedTuple):
    """Detections of a frame.

    Attributes:
        boxes: ``(N, 4)`` ``x1 y1 x2 y2``.
        scores: ``(N,)`` from 0 to 1.
        labels: ``(N,)`` classes from 0.
    """

    boxes: Doubles
    scores: Doubles
    labels: Integers


def observations(detections: DetectionRows) -> Observations:
    """Return the detections of a frame as arrays.

    Boxes may have no area, and labels need no name.

    Raises:
        ValueError: If the arrays are not of one length, a box is not finite or reversed, a score is not from 0 to 1, or a label is negative
            or 65,536 or more.
    """
    boxes, scores, labels = (to_numpy(values) for values in (detections.boxes, detections.scores, detections.labels))
    boxes, scores = boxes.astype(np.float64).reshape(-1, 4), scores.astype(np.float64)
    if not len(boxes) == len(scores) == len(labels):
        raise ValueError(f"Tracker.update: {len(boxes)} boxes, {len(scores)} scores and {len(labels)} labels; expected as many of each")
    _check(boxes, np.isfinite(boxes).all(1), "box", "finite numbers x1 y1 x2 y2 in pixels")
    _check(boxes, (boxes[:, 2:] >= boxes[:, :2]).all(1), "box", "x1 y1 x2 y2 with x2 >= x1 and y2 >= y1")
    _check(scores, (scores >= 0) & (scores <= 1), "score", "a number from 0 to 1")
    _check(labels, (labels >= 0) & (labels < _MOST_CLASSES), "label", f"the number of a class, from 0 to {_MOST_CLASSES - 1}")
    return Observations(boxes, scores, labels.astype(np.int64))


def _check(values: Any, valid: Any, name: str, expected: str) -> None:
    if not valid.all():
        row = int(np.argmin(valid))
        raise ValueError(f"Tracker.update: {name} {values[row].tolist()} in row {row}: expected {expected}")


def thresholds_of(values: Any) -> Doubles:
    """Return score thresholds of classes ``(K,)`` as an array; NaN for a class without its own.

    Raises:
        ValueError: If one is not from 0 to 1.
    """
    thresholds = np.asarray(values, np.float64)
    if thresholds.ndim != 1 or not (np.isnan(thresholds) | ((thresholds >= 0) & (thresholds <= 1))).all():
        raise ValueError(f"Tracker: thresholds {values}: expected a number from 0 to 1 for each class, or NaN")
    return thresholds


def comparable_scores(scores: Doubles, labels: Integers, thresholds: Doubles, level: float) -> Doubles:
    """Return scores that are moved so that the threshold of each class is at one level.

    Scores below the threshold are scaled from 0 to the level, and scores above it from the level to 1; the order within a class stays.
    Those of classes without a threshold stay as they are.

    Args:
        scores: ``(N,)`` scores.
        labels: ``(N,)`` classes.
        thresholds: ``(K,)`` score threshold of each class; NaN for none, as for classes from K.
        level: The score to which all thresholds move.
    """
    own = _own_thresholds(labels, thresholds, level)
    below = scores / np.maximum(own, np.finfo(np.float64).tiny) * level
    above = 1 - (1 - scores) / np.maximum(1 - own, np.finfo(np.float64).tiny) * (1 - level)
    moved: Doubles = np.where(scores < own, below, np.where(own < 1, above, 1.0))
    return moved


def original_scores(score: float, thresholds: Doubles, level: float) -> Doubles:
    """Return for each class the score that :func:`comparable_scores` moves to one score, ``(K,)``."""
    own, tiny = _own_thresholds(np.arange(len(thresholds)), thresholds, level), np.finfo(np.float64).tiny
    below, above = score / max(level, tiny) * own, 1 - (1 - score) / max(1 - level, tiny) * (1 - own)
    scores: Doubles = below if score < level else np.where(own < 1, above, 1.0)
    return scores


def _own_thresholds(labels: Integers, thresholds: Doubles, level: float) -> Doubles:
    padded = np.append(thresholds, np.nan)
    own = padded[np.minimum(labels, len(thresholds))]
    known: Doubles = np.where(np.isnan(own), level, own)
    return known
