"""Operating points: the scores at which a detector works best, as its validation data showed; kept in the header of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detkit.checkpoint.fields import Field, check_fields, is_count, is_mapping, is_number, is_text

HEADER_FIELD = "operating_points"
"""Name of the field in the header of a checkpoint, and in the metadata of an exported file."""
ALL = "all"
"""Name of the point that all classes share."""
INTERVALS = ("precision", "recall", "f1", "false_alarms_per_image")
"""Names of the numbers whose intervals are kept."""


@dataclass(frozen=True)
class Evidence:
    """The data behind an operating point that `detkit calibrate` found.

    Attributes:
        objects: Number of objects to detect.
        false_alarms_per_image: Mean number of wrong detections in an image.
        intervals: The 95 % prediction interval ``(low, high)`` of each number in :data:`INTERVALS` on as many new images.
    """

    objects: int
    false_alarms_per_image: float
    intervals: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class OperatingPoint:
    """The score threshold of a class, such as that with the best F1; NaN without objects or correct detections.

    Attributes:
        name: Name of the class, or ``"all"`` for one threshold shared by all classes, counted together.
        score: Score threshold: detections with at least this score are kept.
        precision: Fraction of the kept detections that is correct.
        recall: Fraction of the objects that is detected.
        f1: Harmonic mean of precision and recall.
        evidence: The data behind it, if they were recorded.
    """

    name: str
    score: float
    precision: float
    recall: float
    f1: float
    evidence: Evidence | None = None

    @property
    def exists(self) -> bool:
        """Whether there is such a threshold."""
        return not math.isnan(self.score)


@dataclass(frozen=True)
class OperatingPoints:
    """The operating points of a detector, and how they were found.

    Attributes:
        rule: How the scores were chosen.
        data: Name of the validation data.
        images: Number of its images.
        overall: The point that all classes share.
        classes: The point of each class that has one, by name; other classes use the score of ``overall``.
        target: What was asked for: ``f1``, ``precision=0.9``, ``recall=0.8`` or ``false-alarms-per-image=0.1``.
        split: Part of the data, if one was named.
        unreached: Names of the classes that do not reach the target at any score.
        overall_reached: Whether all classes together reach the target; otherwise ``overall`` has the best F1.
    """

    rule: str
    data: str
    images: int
    overall: OperatingPoint
    classes: Mapping[str, OperatingPoint]
    target: str = "f1"
    split: str | None = None
    unreached: tuple[str, ...] = ()
    overall_reached: bool = True

    @classmethod
    def of(cls, points: tuple[OperatingPoint, ...], data: str, images: int) -> OperatingPoints | None:
        """Return the points with the best F1 at IoU .5, of which the first is that of all classes; None if no detection was correct."""
        overall, *classes = points
        if not overall.exists:
            return None
        return cls("best F1 at IoU .5", data, images, overall, {point.name: point for point in classes if point.exists})

    def score_of(self, name: str | None) -> float:
        """Return the score from which detections of a class are kept: its own, or else that of all classes."""
        point = None if name is None else self.classes.get(name)
        return (point or self.overall).score

    def without_own(self, names: Sequence[str | None]) -> tuple[str, ...]:
        """Return those of the named classes that have no score of their own and use that of all classes."""
        return tuple(name for name in names if name is not None and name not in self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict, from which :meth:`from_dict` restores the points."""
        return {
            "rule": self.rule,
            "data": self.data,
            "images": self.images,
            "overall": _to_dict(self.overall),
            "classes": {name: _to_dict(point) for name, point in self.classes.items()},
            "target": self.target,
            "split": self.split,
            "unreached": list(self.unreached),
            "overall_reached": self.overall_reached,
        }

    @classmethod
    def from_dict(cls, values: Any, name: str = HEADER_FIELD) -> OperatingPoints:
        """Return the points of :meth:`to_dict`; fields of later versions are passed over.

        Args:
            values: The dict.
            name: What it is, with its file, for messages.

        Raises:
            ValueError: If a field is missing or wrong.
        """
        check_fields(values, _POINTS, name, _ADVICE)
        points = {ALL: values["overall"], **{f"classes.{key}": point for key, point in values["classes"].items()}}
        for key, point in points.items():
            check_fields(point, _POINT, f"{name}: {key}", _ADVICE)
        classes = {key: _point(key, point) for key, point in values["classes"].items()}
        found = values["rule"], values["data"], values["images"], _point(ALL, values["overall"]), classes
        more = {key: values[key] for key in ("target", "split", "overall_reached") if key in values}
        return cls(*found, **more, unreached=tuple(values.get("unreached", ())))


def _to_dict(point: OperatingPoint) -> dict[str, Any]:
    numbers: dict[str, Any] = {name: getattr(point, name) for name in _NUMBERS}
    if point.evidence is None:
        return numbers
    intervals = {name: list(interval) for name, interval in point.evidence.intervals.items()}
    return {**numbers, "objects": point.evidence.objects, _FALSE_ALARMS: point.evidence.false_alarms_per_image, "intervals": intervals}


def _point(name: str, values: Mapping[str, Any]) -> OperatingPoint:
    score, precision, recall, f1 = (float(values[key]) for key in _NUMBERS)
    if not values.keys() >= {"objects", _FALSE_ALARMS, "intervals"}:
        return OperatingPoint(name, score, precision, recall, f1)
    intervals = {key: (float(low), float(high)) for key, (low, high) in values["intervals"].items() if key in INTERVALS}
    evidence = Evidence(values["objects"], float(values[_FALSE_ALARMS]), intervals)
    return OperatingPoint(name, score, precision, recall, f1, evidence)


def _is_fraction(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def _are_intervals(value: Any) -> bool:
    return is_mapping(value) and all(isinstance(pair, list) and len(pair) == 2 and all(map(is_number, pair)) for pair in value.values())


_ADVICE = "use another checkpoint"
_FALSE_ALARMS = "false_alarms_per_image"
_NUMBERS = ("score", "precision", "recall", "f1")
_POINTS = {
    "rule": Field("text", is_text),
    "data": Field("text", is_text),
    "images": Field("a number of images", is_count),
    "overall": Field("a point", is_mapping),
    "classes": Field("points by class", is_mapping),
    "target": Field("text", is_text).optional(),
    "split": Field("text or null", lambda value: value is None or is_text(value)).optional(),
    "unreached": Field("a list of names", _are_names).optional(),
    "overall_reached": Field("true or false", lambda value: isinstance(value, bool)).optional(),
}
_POINT = {
    **{name: Field("a number from 0 to 1", _is_fraction) for name in _NUMBERS},
    "objects": Field("a number of objects", is_count).optional(),
    _FALSE_ALARMS: Field("a number", is_number).optional(),
    "intervals": Field("pairs of numbers by name", _are_intervals).optional(),
}
