"""Statistics of a data set as plots: images and boxes by part and class, and histograms of sizes and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detkit.curation.parts import LabeledParts
from detkit.data.checks.report import CheckReport
from detkit.data.checks.statistics import part_statistics
from detkit.report.bars import Bar, bars
from detkit.report.markup import Html, join
from detkit.report.page import Section
from detkit.report.parts import Column, figure, grid, number, paragraph, table, tabs, tiles
from detkit.report.scale import tick_text

_MOST_BARS = 12
Statistics = Mapping[str, Any]


def statistics_section(parts: LabeledParts, report: CheckReport) -> Section:
    """Return the section of the statistics: all parts side by side, then the plots of each."""
    rows = {name: report.statistics.get(name) or part_statistics(part.data) for name, part in parts}
    plots = [(name, _plots(values)) for name, values in rows.items()]
    shown = tabs(plots) if len(plots) > 1 else plots[0][1]
    return Section("statistics", "Statistics", join([_tiles(rows), _class_table(rows), shown]))


def _tiles(rows: Mapping[str, Statistics]) -> Html:
    items = []
    for name, values in rows.items():
        empty, crowds = values["images_without_objects"], values["crowds"]
        notes = [f"{values['boxes']:,} boxes", *([f"of them crowds: {crowds:,}"] if crowds else [])]
        notes += [f"without boxes: {empty:,}"] if empty else []
        items.append((f"images in {name}", number(int(values["images"])), ", ".join(notes)))
    return tiles(items)


def _class_table(rows: Mapping[str, Statistics]) -> Html:
    """Return the number of boxes of each class in each part, with its share of the part."""
    names = list(dict.fromkeys(name for values in rows.values() for name in values["classes"]))
    columns = [Column("class"), *(column for name in rows for column in (Column(name, numeric=True), Column("share", numeric=True)))]
    cells = []
    for name in names:
        counts = [(int(values["classes"].get(name, 0)), max(sum(values["classes"].values()), 1)) for values in rows.values()]
        cells.append([name, *(cell for count, total in counts for cell in (number(count), number(count / total, style="percent")))])
    order = sorted(range(len(names)), key=lambda index: -sum(int(values["classes"].get(names[index], 0)) for values in rows.values()))
    return table(columns, [cells[index] for index in order], identifier="class-table", shown=10)


def _plots(values: Statistics) -> Html:
    if not values["images"]:
        return paragraph("There are no images in this part.")
    figures = [
        _figure("Boxes per class", _class_bars(values["classes"]), "Crowds are left out."),
        _figure("Boxes by size", _histogram_bars(values["box_sides"], 2), "Square root of the area, in pixels.", values["box_sides"]),
        _figure("Aspect ratios of boxes", _histogram_bars(values["aspect_ratios"], 1), "Width / height.", values["aspect_ratios"]),
        _figure("Boxes per image", _histogram_bars(values["objects_per_image"], 4, whole=True), "", values["objects_per_image"]),
        _figure("Sizes of images", _size_bars(values["image_sizes"], int(values["images"])), "Width x height in pixels."),
    ]
    return grid(*figures)


def _figure(title: str, rows: Sequence[Bar], caption: str, histogram: Statistics | None = None) -> Html:
    median = None if histogram is None else histogram.get("median")
    text = " ".join([*([caption] if caption else []), *([] if median is None else [f"Median {tick_text(median)}."])])
    return figure(bars(rows), text or None, title=title)


def _class_bars(classes: Mapping[str, int]) -> list[Bar]:
    ranked = sorted(classes.items(), key=lambda item: -item[1])
    shown, rest = ranked[:_MOST_BARS], ranked[_MOST_BARS:]
    rows = [Bar(name, count, number(int(count))) for name, count in shown]
    return rows + ([Bar(f"{len(rest):,} other classes", 0, number(int(sum(count for _, count in rest))), color=7)] if rest else [])


def _histogram_bars(histogram: Statistics, color: int, whole: bool = False) -> list[Bar]:
    """Return a bar for each bin, without the empty ones at both ends."""
    edges, counts = histogram["edges"], histogram["counts"]
    filled = [index for index, count in enumerate(counts) if count]
    if not filled:
        return []
    span = range(filled[0], filled[-1] + 1)
    return [Bar(_range_text(edges, index, whole), counts[index], number(int(counts[index])), color=color) for index in span]


def _range_text(edges: Sequence[float], index: int, whole: bool) -> str:
    low = tick_text(edges[index])
    if index + 1 == len(edges):
        return f"{low} and more"
    high = edges[index + 1]
    if whole:
        return low if high - edges[index] == 1 else f"{low} to {tick_text(high - 1)}"
    return f"below {tick_text(high)}" if edges[index] == 0 else f"{low} to {tick_text(high)}"


def _size_bars(sizes: Sequence[Sequence[int]], images: int) -> list[Bar]:
    shown = sizes[:10]
    rows = [Bar(f"{width} x {height}", count, number(int(count)), color=9) for width, height, count in shown]
    rest = images - sum(int(size[2]) for size in shown)
    return rows + ([Bar("other sizes", rest, number(rest), color=7)] if rest else [])
