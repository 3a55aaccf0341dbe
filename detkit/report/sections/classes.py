"""Each class: its AP with the interval, and its score of the best F1."""

from __future__ import annotations

import math

from detkit.evaluation.analysis.analysis import Analysis
from detkit.report.bars import Bar, bars
from detkit.report.markup import Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import Column, figure, number, paragraph, table, with_interval
from detkit.report.subject import Subject

BARS = 30
"""Up to this many classes are also drawn as bars."""
_COLUMNS = (
    Column("class"),
    Column("objects", True),
    Column("detections", True, "of any score"),
    Column("AP", True, "mean over IoU .50 to .95, with its 95 % interval"),
    Column("AP50", True),
    Column("AP75", True),
    Column("AR", True, "recall with 100 detections per image"),
    Column("score", True, "score of the best F1"),
    Column("precision", True, "at this score"),
    Column("recall", True, "at this score"),
    Column("F1", True, "at this score"),
    Column("ECE", True, "expected calibration error of the scores"),
)

_MASK_COLUMNS = (Column("mask AP", True, "AP of masks (segm), mean over IoU .50 to .95"), Column("mask AP50", True))


def section(subject: Subject) -> Section:
    """Return the section of the classes."""
    analysis = subject.analysis
    rows = [_row(analysis, index) for index in range(len(analysis.numbers.classes))]
    attributes = [{"data_class": str(index + 1)} for index in range(len(rows))]
    note = paragraph("A click on a class shows its curves. A dash: the data has no object of the class.", note=True)
    shown = [row for row in analysis.numbers.classes if not math.isnan(row.ap)]
    drawn = figure(_bars(analysis), "AP of each class with its 95 % interval.", wide=True) if 1 < len(shown) <= BARS else None
    return Section(
        "classes", "Classes", join([drawn, note, table(_columns(analysis), rows, identifier="class-table", attributes=attributes)])
    )


def _columns(analysis: Analysis) -> tuple[Column, ...]:
    return _COLUMNS if analysis.numbers.segm is None else (*_COLUMNS[:7], *_MASK_COLUMNS, *_COLUMNS[7:])


def _row(analysis: Analysis, index: int) -> list[Html]:
    row, point, path = analysis.numbers.classes[index], analysis.operating_points[index + 1], f"analysis/numbers/classes/{index}"
    interval, point_path = analysis.intervals.classes[index], f"analysis/operating_points/{index + 1}"
    low, high = (number(getattr(interval, end), key=f"analysis/intervals/classes/{index}/{end}") for end in ("low", "high"))
    return [
        tag("a", row.name, href="#curves"),
        number(row.boxes, key=f"{path}/boxes"),
        number(row.detections, key=f"{path}/detections"),
        with_interval(number(row.ap, key=f"{path}/ap"), low, high),
        *(number(getattr(row, name), key=f"{path}/{name}") for name in ("ap50", "ap75", "ar")),
        *_of_masks(analysis, index),
        *(number(getattr(point, name), key=f"{point_path}/{name}") for name in ("score", "precision", "recall", "f1")),
        number(analysis.calibration[index + 1].ece, key=f"analysis/calibration/{index + 1}/ece"),
    ]


def _of_masks(analysis: Analysis, index: int) -> list[Html]:
    segm = analysis.numbers.segm
    if segm is None:
        return []
    return [number(getattr(segm.classes[index], name), key=f"analysis/numbers/segm/classes/{index}/{name}") for name in ("ap", "ap50")]


def _bars(analysis: Analysis) -> Html:
    rows = [(row, index) for index, row in enumerate(analysis.numbers.classes) if not math.isnan(row.ap)]
    rows.sort(key=lambda item: -item[0].ap)
    drawn = []
    for row, index in rows:
        interval = analysis.intervals.classes[index]
        text = number(row.ap, key=f"analysis/numbers/classes/{index}/ap")
        note = join([number(row.boxes, key=f"analysis/numbers/classes/{index}/boxes"), " objects"])
        drawn.append(Bar(row.name, row.ap, text, (interval.low, interval.high), note))
    return bars(drawn, high=1.0)
