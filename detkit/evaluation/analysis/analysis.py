"""The analysis of a detector's results as one object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from detkit.checkpoint.atomic import finite
from detkit.checkpoint.operating_points import OperatingPoint
from detkit.evaluation.analysis.calibration import Calibration
from detkit.evaluation.analysis.cases import Case, ImageMistakes
from detkit.evaluation.analysis.confusion import Confusion
from detkit.evaluation.analysis.curves import ClassCurves
from detkit.evaluation.analysis.groups import Groups
from detkit.evaluation.analysis.intervals import Intervals
from detkit.evaluation.numbers import CocoNumbers

MAX_LISTED = 1000
"""Largest number of mistakes, and of images, that are listed in JSON."""
MAX_IMAGES = 20
"""Largest number of images of a cell of the confusion matrix that are listed in JSON."""


@dataclass(frozen=True)
class Analysis:
    """Every number that an evaluation report shows.

    Tuples of classes have the order of ``numbers.classes``.

    Attributes:
        numbers: COCO metrics, overall and of each class.
        intervals: Their confidence intervals.
        operating_points: Score with the best F1 of all classes together (first) and of each class.
        curves: Curves of all classes (first) and of each class.
        calibration: Calibration of all classes (first) and of each class.
        tide: Number of errors of each type of TIDE, and the AP50 that they cost; see :data:`~detkit.evaluation.analysis.tide.ERRORS`.
        groups: AP by size and number of objects.
        score: Score of the cut at which cases, images and confusion are counted; NaN if no detection is kept.
        cases: All detections and objects at this score: correct detections, and mistakes with the highest scores first.
        images: Images with mistakes, the most first.
        confusion: Confusion matrix at this score.
    """

    numbers: CocoNumbers
    intervals: Intervals
    operating_points: tuple[OperatingPoint, ...]
    curves: tuple[ClassCurves, ...]
    calibration: tuple[Calibration, ...]
    tide: Mapping[str, tuple[int, float]]
    groups: Groups
    score: float
    cases: tuple[Case, ...]
    images: tuple[ImageMistakes, ...]
    confusion: Confusion

    @property
    def mistakes(self) -> tuple[Case, ...]:
        """The cases that are not correct: detections with the highest scores first, then misses."""
        return tuple(case for case in self.cases if case.kind != "correct")

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict, with None for NaN; long lists are cut, and their counts are those of all."""
        content = {
            "score": self.score,
            "intervals": _plain(self.intervals),
            "operating_points": [_plain(point) for point in self.operating_points],
            "curves": [_plain(row) for row in self.curves],
            "calibration": [_plain(row) for row in self.calibration],
            "tide": {kind: {"count": count, "ap50": cost} for kind, (count, cost) in self.tide.items()},
            "groups": _plain(self.groups),
            "cases": dict(Counter(case.kind for case in self.cases)),
            "mistakes": [_plain(case) for case in self.mistakes[:MAX_LISTED]],
            "images": [_plain(row) for row in self.images[:MAX_LISTED]],
            "confusion": self._confusion(),
        }
        plain: dict[str, Any] = finite(content)
        return plain

    def _confusion(self) -> dict[str, Any]:
        cells = [
            {
                "true_class": cell.true_class,
                "detected_class": cell.detected_class,
                "count": cell.count,
                "images": list(dict.fromkeys(self.cases[position].image_id for position in cell.cases))[:MAX_IMAGES],
            }
            for cell in self.confusion.cells
        ]
        categories = dict(zip(self.confusion.categories, self.confusion.names, strict=True))
        return {"score": self.confusion.score, "categories": categories, "cells": cells}


def _plain(value: Any) -> Any:
    """Return dataclasses as dicts, and arrays as lists, at every depth; None for an array without any number."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return None if len(value) and np.isnan(value).all() else value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
