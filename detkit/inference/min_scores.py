"""Lowest scores that a predictor reports: one number, or the operating points of its classes; numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from detkit.arrays import Flags
from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoints
from detkit.structures.detection import DetectionArrays

MinScore = float | OperatingPoints
"""One lowest score for all classes, or the score of each class."""


class LeftOut(NamedTuple):
    """A detection that scores too little to be reported.

    Attributes:
        score: Its score.
        class_name: Name of its class.
        min_score: The lowest score that is reported of this class.
    """

    score: float
    class_name: str
    min_score: float


class MinScores:
    """The lowest score that is reported of each class.

    Args:
        min_score: One number, or operating points: each class has its own score, or else that of all classes.
        class_names: Class names by label.

    Attributes:
        points: The operating points; None for one number.
    """

    def __init__(self, min_score: MinScore, class_names: Sequence[str | None]) -> None:
        self.points = min_score if isinstance(min_score, OperatingPoints) else None
        self._names = class_names
        self._number = 0.0 if isinstance(min_score, OperatingPoints) else float(min_score)
        if isinstance(min_score, OperatingPoints):
            self._exact = tuple(min_score.score_of(name) for name in class_names)
            self._scores = np.array(self._exact, np.float32)

    @property
    def lowest(self) -> float:
        """The lowest score that is reported of any class."""
        if self.points is None:
            return self._number
        return min((score for score, name in zip(self._exact, self._names, strict=True) if name is not None), default=0.0)

    @property
    def overall(self) -> float:
        """The lowest score of all classes together: the number, or the operating point that they share."""
        return self._number if self.points is None else self.points.overall.score

    @property
    def by_label(self) -> tuple[float, ...]:
        """The lowest score that is reported of each class."""
        return (self._number,) * len(self._names) if self.points is None else self._exact

    def of(self, label: int) -> float:
        """Return the lowest score that is reported of a class."""
        return self._number if self.points is None else self._exact[label]

    def keep(self, rows: DetectionArrays) -> Flags:
        """Return ``(N,)`` whether each detection scores enough; scores are compared in float32, as detectors give them."""
        if self.points is None and self._number <= 0:
            return np.ones(len(rows), np.bool_)  # also scores that are not a number, which an evaluation reports
        kept: Flags = rows.scores >= (np.float32(self._number) if self.points is None else self._scores[rows.labels])
        return kept

    def best_left_out(self, rows: DetectionArrays, reported: Flags) -> LeftOut | None:
        """Return the best of the detections of classes that are ``reported`` that does not score enough, if there is any."""
        left_out = np.flatnonzero(reported & ~self.keep(rows))
        if not len(left_out):
            return None
        row = left_out[rows.scores[left_out].argmax()]
        label = int(rows.labels[row])
        return LeftOut(float(rows.scores[row]), str(self._names[label]), self.of(label))


def stored_min_score(metadata: Mapping[str, Any]) -> MinScore | None:
    """Return the lowest score that a checkpoint or an exported file suggests: its operating points, if it has any.

    A number that :func:`detkit.checkpoint.pack` wrote has precedence over the points. Exported files repeat the score of all classes as
    such a number, for programs that do not read the points.

    Args:
        metadata: The header of a checkpoint, or the metadata of an exported file.

    Raises:
        ValueError: If the points are damaged.
    """
    number, points = metadata.get("min_score"), stored_points(metadata)
    if number is not None and (points is None or number != points.overall.score):
        return float(number)
    return points


def loaded_min_score(given: MinScore | None, metadata: Mapping[str, Any]) -> MinScore:
    """Return the lowest score that a loaded predictor reports.

    Args:
        given: What the user asked for; None: the operating points of the model, and everything that it returns if it has none.
        metadata: As in :func:`stored_min_score`.
    """
    if given is not None:
        return given
    stored = stored_min_score(metadata) if metadata.get(HEADER_FIELD) is not None else None
    return 0.0 if stored is None else stored


def stored_points(metadata: Mapping[str, Any]) -> OperatingPoints | None:
    """Return the operating points of a checkpoint or an exported file, if it has any; see :func:`stored_min_score`."""
    values = metadata.get(HEADER_FIELD)
    return None if values is None else OperatingPoints.from_dict(values)


def better(first: LeftOut | None, second: LeftOut | None) -> LeftOut | None:
    """Return the one with the higher score; None if neither exists."""
    return max((row for row in (first, second) if row is not None), default=None)
