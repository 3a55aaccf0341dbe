"""Operating points: the scores at which a detector works best, as its validation data showed; kept in the header of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from detkit.checkpoint.fields import Field, check_fields, is_count, is_mapping, is_number, is_text

HEADER_FIELD = "operating_points"
"""Name of the field in the header of a checkpoint, and in the metadata of an exported file."""
ALL = "all"
"""Name of the point that all classes share."""


@dataclass(frozen=True)
class OperatingPoint:
    """The score threshold of a class with the best F1; NaN without objects or correct detections.

    Attributes:
        name: Name of the class, or ``"all"`` for one threshold shared by all classes, counted together.
        score: Score threshold: detections with at least this score are kept.
        precision: Fraction of the kept detections that is correct.
        recall: Fraction of the objects that is detected.
        f1: Harmonic mean of precision and recall.
    """

    name: str
    score: float
    precision: float
    recall: float
    f1: float

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
        classes: The point of each class that has one, by name.
    """

    rule: str
    data: str
    images: int
    overall: OperatingPoint
    classes: Mapping[str, OperatingPoint]

    @classmethod
    def of(cls, points: tuple[OperatingPoint, ...], data: str, images: int) -> OperatingPoints | None:
        """Return the points with the best F1 at IoU .5, of which the first is that of all classes; None if no detection was correct."""
        overall, *classes = points
        if not overall.exists:
            return None
        return cls("best F1 at IoU .5", data, images, overall, {point.name: point for point in classes if point.exists})

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict, from which :meth:`from_dict` restores the points."""
        return {
            "rule": self.rule,
            "data": self.data,
            "images": self.images,
            "overall": _without_name(self.overall),
            "classes": {name: _without_name(point) for name, point in self.classes.items()},
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
        return cls(values["rule"], values["data"], values["images"], _point(ALL, values["overall"]), classes)


def _without_name(point: OperatingPoint) -> dict[str, float]:
    return {name: value for name, value in asdict(point).items() if name != "name"}


def _point(name: str, values: Mapping[str, Any]) -> OperatingPoint:
    return OperatingPoint(name, *(float(values[key]) for key in ("score", "precision", "recall", "f1")))


def _is_fraction(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


_ADVICE = "use another checkpoint"
_POINTS = {
    "rule": Field("text", is_text),
    "data": Field("text", is_text),
    "images": Field("a number of images", is_count),
    "overall": Field("a point", is_mapping),
    "classes": Field("points by class", is_mapping),
}
_POINT = {name: Field("a number from 0 to 1", _is_fraction) for name in ("score", "precision", "recall", "f1")}
