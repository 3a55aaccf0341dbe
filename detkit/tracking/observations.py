"""The detections of a frame as a tracker needs them, checked."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from detkit.arrays import Doubles, Integers, to_numpy
from detkit.structures.masks import Masks

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


def masks_of(detections: DetectionRows, rows: Integers) -> Masks | None:
    """Return the masks of some detections; None for a detector without masks."""
    masks: Masks | None = getattr(detections, "masks", None)
    return None if masks is None else masks[rows]


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
