"""Calibration: whether a score of .7 means that 70 % of the detections are right."""

from __future__ import annotations

from typing import Any

from detkit.evaluation.analysis.calibration import Calibration
from detkit.report.bars import Bar, bars
from detkit.report.markup import Html, join
from detkit.report.page import Section
from detkit.report.parts import figure, grid, number, paragraph
from detkit.report.plots import Series, curve_data, lines
from detkit.report.scale import Axis
from detkit.report.sections.curves import ALL, class_menu, drawn_classes
from detkit.report.subject import Subject


def section(subject: Subject) -> tuple[Section, dict[str, Any]]:
    """Return the section of the calibration and the values for its scripts."""
    analysis = subject.analysis
    chosen = drawn_classes(analysis.curves)
    data = {str(index): _data(ALL if index == 0 else analysis.calibration[index].name, analysis.calibration[index]) for index in chosen}
    overall = analysis.calibration[0]
    judgment = paragraph(
        "Expected calibration error of all detections: ",
        number(overall.ece, key="analysis/calibration/0/ece"),
        ", the mean distance of score and precision. Below the diagonal the detector is too sure of itself; above it, too modest.",
    )
    diagram = diagram_figure(
        overall, "precision", "Precision at IoU .5 of the detections in each tenth of the scores.", "calibration-curves"
    )
    text = "Detections of each tenth of the scores, all classes."
    counts = counts_figure(overall, "analysis/calibration/0", text, "Detections by score")
    body = join([judgment, class_menu(analysis.curves, chosen), grid(diagram, counts)])
    return Section("calibration", "Calibration", body), {"calibration-curves": data}


def _data(name: str, calibration: Calibration) -> dict[str, Any]:
    bins = [row for row in calibration.bins if row.count]
    return curve_data(name, [row.score for row in bins], {"precision": [row.precision for row in bins]})


def diagram_figure(calibration: Calibration, measure: str, caption: str, data: str = "") -> Html:
    """Return the reliability diagram: a measure over the mean score; ``data`` is the ``id`` of its values for the page's script."""
    bins = [row for row in calibration.bins if row.count]
    ideal = Series("perfectly calibrated", (0.0, 1.0), (0.0, 1.0), color=7, style="dashed")
    series = Series(ALL, [row.score for row in bins], [row.precision for row in bins], color=0, marks=True)
    return figure(lines([series, ideal], Axis("mean score"), Axis(measure), data=data), caption, title="Reliability")


def counts_figure(calibration: Calibration, key: str, caption: str, title: str) -> Html:
    """Return the number of predictions of each tenth of the scores as bars; ``key`` is the calibration's path in the JSON."""
    rows = [
        Bar(f"{row.low:.2g} to {row.high:.2g}", row.count, number(row.count, key=f"{key}/bins/{index}/count"))
        for index, row in enumerate(calibration.bins)
    ]
    return figure(bars(rows), caption, title=title)
