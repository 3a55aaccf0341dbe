"""Precision, recall and F1 curves, of all classes and of one that is chosen, with the operating point."""

from __future__ import annotations

from typing import Any

from detkit.checkpoint.operating_points import OperatingPoint
from detkit.evaluation.analysis.curves import ClassCurves
from detkit.report.markup import Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import figure, grid, option_list
from detkit.report.plots import Mark, Series, curve_data, lines
from detkit.report.scale import Axis
from detkit.report.subject import Subject

DRAWN_CLASSES = 300
"""Classes whose curves are in a page, those with the most objects; the JSON of the evaluation has all."""
ALL = "all classes"
RECALLS = tuple(index / 100 for index in range(101))
_IOUS = {"IoU .50": "precision_50", "IoU .75": "precision_75", "IoU .50 to .95": "precision_mean"}
_BY_SCORE = ("precision", "recall", "f1")


def section(subject: Subject) -> tuple[Section, dict[str, Any]]:
    """Return the section of the curves and the values for its scripts."""
    analysis = subject.analysis
    chosen = drawn_classes(analysis.curves)
    marks = [_mark(point) for point in analysis.operating_points]
    data: dict[str, Any] = {"curves-recall": {}, "curves-score": {}}
    for index in chosen:
        curve, name = analysis.curves[index], ALL if index == 0 else analysis.curves[index].name
        point = analysis.operating_points[index]
        by_recall = {label: getattr(curve, field).tolist() for label, field in _IOUS.items()}
        by_score = {label: getattr(curve.by_score, label).tolist() for label in _BY_SCORE}
        data["curves-recall"][str(index)] = curve_data(name, RECALLS, by_recall, [Mark(point.recall, point.precision, marks[index])])
        at_score = [Mark(point.score, point.f1, marks[index])]
        data["curves-score"][str(index)] = curve_data(name, curve.by_score.scores.tolist(), by_score, at_score)
    overall, point = analysis.curves[0], analysis.operating_points[0]
    left = figure(_by_recall(data["curves-recall"]["0"]), _RECALL_CAPTION, title="Precision over recall")
    right = figure(_by_score(overall, point), _SCORE_CAPTION, title="Precision, recall and F1 over the score")
    body = join([class_menu(analysis.curves, chosen), grid(left, right), _left_out(analysis.curves, chosen)])
    return Section("curves", "Curves", body), data


_RECALL_CAPTION = (
    "COCO's curves, with precision made non-increasing; of all classes, the mean. The circle of a class is its operating point, the score "
    "with its best F1, at IoU .5."
)
_SCORE_CAPTION = "At IoU .5, of the detections with at least this score; of all classes, counted together. The circle is the best F1."


def drawn_classes(curves: tuple[ClassCurves, ...]) -> list[int]:
    """Return the indices of the curves in a page: all classes together first, then the classes with objects."""
    known = [index for index in range(1, len(curves)) if curves[index].objects]
    known.sort(key=lambda index: -curves[index].objects)
    return [0, *sorted(known[:DRAWN_CLASSES])]


def class_menu(curves: tuple[ClassCurves, ...], chosen: list[int]) -> Html:
    """Return the menu of the classes, which charts of its section follow."""
    options = [("", ALL), *((str(index), curves[index].name) for index in chosen[1:])]
    return tag("div", option_list("curves of", options, class_="curves"), class_="controls")


def _left_out(curves: tuple[ClassCurves, ...], chosen: list[int]) -> Html | None:
    others = sum(curve.objects > 0 for curve in curves[1:]) - len(chosen) + 1
    text = f"The menu has the {DRAWN_CLASSES} classes with the most objects; the curves of {others:,} more are in the JSON."
    return tag("p", text, class_="note") if others > 0 else None


def _mark(point: OperatingPoint) -> str:
    return f"F1 {point.f1:.2f} at score {point.score:.2f}"


def _by_recall(data: dict[str, Any]) -> Html:
    series = [Series(label, RECALLS, values, color=index) for index, (label, values) in enumerate(data["curves"].items())]
    return lines(series, Axis("recall"), Axis("precision"), data="curves-recall")


def _by_score(curve: ClassCurves, point: OperatingPoint) -> Html:
    by_score = curve.by_score
    names = ("precision", "recall", "F1")
    scores = by_score.scores.tolist()
    series = [
        Series(name, scores, getattr(by_score, field).tolist(), color=index)
        for index, (name, field) in enumerate(zip(names, _BY_SCORE, strict=True))
    ]
    marks = [Mark(point.score, point.f1, _mark(point))] if point.score == point.score else []
    high = max([1.0, *scores])
    return lines(series, Axis("score", min([0.0, *scores]), high), Axis("value"), marks=marks, data="curves-score")
