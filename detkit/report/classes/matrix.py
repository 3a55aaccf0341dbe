"""The confusion matrix of a classifier; a cell opens its images."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from detkit.evaluation.classified import ClassifiedImages
from detkit.report.bars import Cell, heat_map
from detkit.report.markup import Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import Column, details, number, paragraph, table
from detkit.report.sections.confusion import ALL_LISTED, LISTED_CASES, LISTED_PAIRS, SHOWN_CLASSES, image_list, most_confused
from detkit.report.sources import ImageSource
from detkit.report.subject import short_name

Grid = dict[tuple[int, int], tuple[int, int]]
"""Index of a confusion and its number of images, by true and predicted class."""


def section(classified: ClassifiedImages, images: ImageSource, pictured: Collection[int]) -> tuple[Section, dict[str, Any]]:
    """Return the section and the values for its scripts.

    Args:
        classified: The predictions.
        images: The images.
        pictured: Indices of the images that the page shows, which a cell lists first.
    """
    grid = {(true, predicted): (index, len(rows)) for index, (true, predicted, rows) in enumerate(classified.confusions)}
    present = sorted({label for pair in grid for label in pair})
    shown = most_confused(present, {pair: count for pair, (_, count) in grid.items()})
    names = [classified.class_names[label] for label in shown]
    totals = classified.accuracy.counts
    cells = [[_cell(classified, grid, int(totals[true]), true, predicted) for predicted in shown] for true in shown]
    several = f" The {SHOWN_CLASSES} classes that are confused most are shown." if len(shown) < len(present) else ""
    text = (
        "Rows are the true classes, columns the most likely ones; a cell opens its images. The darker a cell, the larger its fraction of "
    )
    note = paragraph(f"{text}the row.{several}", note=True)
    panel = tag("div", class_="cell-panel", id="cell-panel", aria_live="polite")
    matrix = heat_map(names, names, cells, "true \\ predicted")
    pairs = details("Most frequent confusions", _pairs(classified))
    return Section("confusion", "Confusion", join([note, matrix, panel, pairs])), {"confusion-cells": _listed(classified, images, pictured)}


def _cell(classified: ClassifiedImages, grid: Grid, total: int, true: int, predicted: int) -> Cell | None:
    if (true, predicted) not in grid:
        return None
    index, count = grid[true, predicted]
    shade = math.sqrt(count / max(total, 1))
    title = f"{classified.class_names[true]}, classified as {classified.class_names[predicted]}"
    text = number(count, key=f"analysis/confusions/{index}/count")
    return Cell(shade if true == predicted else -shade, text, title, (("data_cell", str(index)), ("data_title", title)))


def _pairs(classified: ClassifiedImages) -> Html:
    wrong = [(len(rows), index) for index, (true, predicted, rows) in enumerate(classified.confusions) if true != predicted]
    if not wrong:
        return paragraph("No image is classified as another class.")
    names = classified.class_names
    rows = []
    for count, index in sorted(wrong, key=lambda pair: -pair[0])[:LISTED_PAIRS]:
        true, predicted, _ = classified.confusions[index]
        rows.append([names[true], names[predicted], number(count, key=f"analysis/confusions/{index}/count")])
    return table(("true class", "classified as", Column("images", True)), rows, identifier="pair-table")


def _listed(classified: ClassifiedImages, source: ImageSource, pictured: Collection[int]) -> dict[str, Any]:
    """Return the images of each cell for the page's script, the mistakes first where there are too many."""
    rows: dict[str, list[list[Any]]] = {}
    positions: dict[int, int] = {}
    left = ALL_LISTED
    for index, (_, _, images) in sorted(enumerate(classified.confusions), key=lambda item: item[1][0] == item[1][1]):
        chosen = sorted(images.tolist(), key=lambda image: image not in pictured)[: min(LISTED_CASES, left)]
        left -= len(chosen)
        scores = classified.first_scores
        rows[str(index)] = [[positions.setdefault(image, len(positions)), image, float(scores[image]), None] for image in chosen]
    names = [short_name(str(source.paths[image])) for image in positions]
    return {**image_list([source.href(image) for image in positions], names), "cases": rows}
