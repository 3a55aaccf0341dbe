"""The analysis of a detector's results as one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from detkit.checkpoint.operating_points import OperatingPoint
from detkit.evaluation.analysis.calibration import Calibration
from detkit.evaluation.analysis.cases import Case, ImageMistakes
from detkit.evaluation.analysis.confusion import Confusion
from detkit.evaluation.analysis.curves import ClassCurves
from detkit.evaluation.analysis.groups import Groups
from detkit.evaluation.analysis.intervals import Intervals
from detkit.evaluation.numbers import CocoNumbers


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
        tide: Number of errors of each type of TIDE, and the AP50 that they cost; see :data:`~detkit.evaluation.details.ERRORS`.
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
