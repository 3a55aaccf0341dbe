"""The confusion matrix with the background; a cell opens its images."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from detkit.evaluation.analysis.confusion import Confusion, ConfusionCell
from detkit.report.bars import Cell, heat_map
from detkit.report.markup import Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import Column, details, number, paragraph, table
from detkit.report.subject import Subject, short_name

SHOWN_CLASSES = 60
"""Classes of the matrix; of more, those that are confused most."""
LISTED_CASES, ALL_LISTED = 60, 20_000
"""Cases that a cell lists, and that all cells list together."""
LISTED_PAIRS = 500
"""Rows of the table of confusions."""
_BACK = -1

Grid = dict[tuple[int, int], tuple[int, ConfusionCell]]


def section(subject: Subject, crops: Collection[int]) -> tuple[Section, dict[str, Any]]:
    """Return the section of the matrix and the values for its scripts; ``crops`` are the positions of the cases that have a crop."""
    confusion = subject.analysis.confusion
    cells = _by_class(confusion)
    shown = [*_shown_classes(confusion, cells), _BACK]
    names = [subject.class_name(None if category == _BACK else category) for category in shown]
    note = paragraph(
        "At score ",
        number(confusion.score, key="analysis/confusion/score"),
        " and IoU .5. Rows are the true classes, columns the detected ones; a cell opens its images. ",
        "The darker a cell, the larger its fraction of the row.",
        f" The {SHOWN_CLASSES} classes that are confused most are shown." if len(confusion.categories) > SHOWN_CLASSES else "",
        note=True,
    )
    totals: Counter[int] = Counter()
    for (row, _), (_, cell) in cells.items():
        totals[row] += cell.count
    grid = [[_cell(subject, cells, totals, row, column) for column in shown] for row in shown]
    matrix = heat_map(names, names, grid, "true \\ detected")
    panel = tag("div", class_="cell-panel", id="cell-panel", aria_live="polite")
    pairs = details("Most frequent confusions", _pairs(subject, confusion))
    return Section("confusion", "Confusion", join([note, matrix, panel, pairs])), {"confusion-cells": _listed(subject, cells, set(crops))}


def _by_class(confusion: Confusion) -> Grid:
    """Return the position and the cell of each pair of classes."""
    return {(_category(cell.true_class), _category(cell.detected_class)): (index, cell) for index, cell in enumerate(confusion.cells)}


def _category(category: int | None) -> int:
    return _BACK if category is None else category


def _shown_classes(confusion: Confusion, cells: Grid) -> list[int]:
    return most_confused(confusion.categories, {pair: cell.count for pair, (_, cell) in cells.items() if _BACK not in pair})


def most_confused(classes: Sequence[int], counts: Mapping[tuple[int, int], int]) -> list[int]:
    """Return the classes that a matrix shows, in the given order: all of them, or the :data:`SHOWN_CLASSES` that are confused most.

    Args:
        classes: The classes.
        counts: Counts by true and predicted class.
    """
    confused: Counter[int] = Counter()
    for (true, predicted), count in counts.items():
        if true != predicted:
            confused.update({true: count, predicted: count})
    most = set(sorted(classes, key=lambda label: -confused[label])[:SHOWN_CLASSES])
    return [label for label in classes if label in most]


def _cell(subject: Subject, cells: Grid, totals: Counter[int], row: int, column: int) -> Cell | None:
    if (row, column) not in cells:
        return None
    index, cell = cells[row, column]
    shade = math.sqrt(cell.count / max(totals[row], 1))
    title = f"{subject.class_name(cell.true_class)}, detected as {subject.class_name(cell.detected_class)}"
    text = number(cell.count, key=f"analysis/confusion/cells/{index}/count")
    return Cell(shade if row == column else -shade, text, title, (("data_cell", str(index)), ("data_title", title)))


def _pairs(subject: Subject, confusion: Confusion) -> Html:
    """Return the table of confused classes, the most frequent first."""
    wrong = [(cell.count, index, cell) for index, cell in enumerate(confusion.cells) if _is_confusion(cell)]
    wrong.sort(key=lambda item: -item[0])
    if not wrong:
        return paragraph("No object is detected as another class.")
    rows = [
        [
            subject.class_name(cell.true_class),
            subject.class_name(cell.detected_class),
            number(count, key=f"analysis/confusion/cells/{index}/count"),
        ]
        for count, index, cell in wrong[:LISTED_PAIRS]
    ]
    return table(("true class", "detected as", Column("count", True)), rows, identifier="pair-table")


def _is_confusion(cell: ConfusionCell) -> bool:
    return cell.true_class is not None and cell.detected_class is not None and cell.true_class != cell.detected_class


def _listed(subject: Subject, cells: Grid, crops: set[int]) -> dict[str, Any]:
    """Return the cases of each cell for the page's script: images with their addresses, and rows of image, case, score and IoU."""
    rows: dict[str, list[list[Any]]] = {}
    images: dict[int, int] = {}
    left = ALL_LISTED
    wrong_first = sorted(cells.values(), key=lambda item: item[1].true_class == item[1].detected_class)
    for index, cell in wrong_first:
        chosen = sorted(cell.cases, key=lambda position: position not in crops)[: min(LISTED_CASES, left)]  # those with a crop first
        left -= len(chosen)
        cases = ((position, subject.analysis.cases[position]) for position in chosen)
        rows[str(index)] = [[images.setdefault(case.image_id, len(images)), position, case.score, case.iou] for position, case in cases]
    addresses = [subject.images.href(image_id) for image_id in images]
    names = [short_name(subject.truth.image_name(image_id)) for image_id in images]
    return {**image_list(addresses, names), "cases": rows}


def image_list(addresses: list[str], names: list[str]) -> dict[str, Any]:
    """Return addresses and names of images for the page's script; what all addresses start with is stored once."""
    base = _common_start(addresses)
    return {"base": base, "addresses": [address[len(base) :] for address in addresses], "names": names}


def _common_start(texts: list[str]) -> str:
    """Return what all texts start with."""
    first, last = min(texts, default=""), max(texts, default="")
    length = next((index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]
