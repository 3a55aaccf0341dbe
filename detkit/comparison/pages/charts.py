"""Tables and charts of the report, from the results as they are in ``compare.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from detkit.comparison.statistics import has_masks, known_mean, ranked
from detkit.report.bars import Bar, Cell, bars, heat_map
from detkit.report.markup import DASH, Content, Html, join
from detkit.report.parts import Column, figure, number, paragraph, table, with_interval
from detkit.report.plots import WIDE, Point, Series, lines, scatter
from detkit.report.scale import Axis

Results = Mapping[str, Any]
SIZES = {"APs": "small", "APm": "medium", "APl": "large"}
FULL_SHADE = 0.1
"""Difference of AP that is shaded fully."""


def results_table(results: Results) -> Html:
    """Return the detectors, best first, with intervals and costs."""
    columns: list[Column | str] = [
        "detector",
        Column("year", True),
        Column("AP", True, "test AP, mean over the seeds, with the 95 % interval over images and seeds"),
        Column("AP50", True),
        Column("AP75", True),
        Column("val AP", True, "of the chosen checkpoints"),
        Column("ms", True, "median time of an image, from pixels to detections, all measured in one process"),
        Column("core-minutes", True, "mean over the seeds"),
        Column("steps", True),
        Column("images", True, "training images seen, repeats included"),
        Column("runs", True),
    ]
    if has_masks(results):
        columns[5:5] = [Column("mask AP", True, "test AP of masks (segm), mean over the seeds"), Column("mask AP50", True)]
    rows = [_result_row(index, row, has_masks(results)) for index, row in ranked(results["entries"])]
    return table(columns, rows, identifier="results")


def _result_row(index: int, row: Results, masks: bool) -> list[Content]:
    place, runs, latency = f"results/entries/{index}", row["runs"], row["latency"]
    metrics = [_estimate(row["estimates"][name], f"{place}/estimates/{name}") for name in ("AP", "AP50", "AP75")]
    if masks:
        metrics += [number(row["test_masks"][name], key=f"{place}/test_masks/{name}") for name in ("AP", "AP50")]
    cost = [_mean_of(runs, name, digits) for name, digits in (("core_minutes", 1), ("steps", 0), ("images_seen", 0))]
    time: Content = DASH if latency is None else number(1000 * latency["median"], 0)
    if latency is not None and latency.get("earlier"):
        time = join([time, " (earlier)"])
    year: Content = None if row["year"] is None else str(int(row["year"]))
    return [row["name"], year, *metrics, number(row["val"], key=f"{place}/val"), time, *cost, number(len(runs))]


def _estimate(value: Results, place: str) -> Html:
    mean, low, high = (number(value[name], key=f"{place}/{name}") for name in ("mean", "low", "high"))
    return with_interval(mean, low, high)


def _mean_of(runs: Sequence[Results], name: str, digits: int) -> Html:
    mean = known_mean(run[name] for run in runs)
    return DASH if mean is None else number(mean, digits)


def accuracy_chart(results: Results) -> Html:
    """Return AP over latency with intervals, and AP alone for those whose latency is unknown."""
    rows = [row for row in results["entries"] if math.isfinite(row["estimates"]["AP"]["mean"])]
    timed = [row for row in rows if row["latency"] is not None and not row["latency"].get("earlier")]
    parts: list[Html] = []
    if timed:
        points = [
            Point(
                row["title"] or row["name"],
                1000 * row["latency"]["median"],
                row["estimates"]["AP"]["mean"],
                (1000 * row["latency"]["low"], 1000 * row["latency"]["high"]),
                _ends(row["estimates"]["AP"]),
            )
            for row in timed
        ]
        x = Axis.of("milliseconds an image", [value for point in points for value in point.x_interval or ()], logarithmic=True)
        y = Axis.of("test AP", [value for point in points for value in point.y_interval or ()])
        caption = "Vertical: 95 % interval of AP over images and seeds. Horizontal: fastest to slowest image."
        parts.append(figure(scatter(points, x, y), caption, wide=True))
    known = [row for _, row in ranked(results["entries"]) if math.isfinite(row["estimates"]["AP"]["mean"])]
    shown = [
        Bar(row["name"], row["estimates"]["AP"]["mean"], number(row["estimates"]["AP"]["mean"]), _ends(row["estimates"]["AP"]))
        for row in known
    ]
    parts.append(figure(bars(shown), "Test AP with its 95 % interval over images and seeds."))
    missing = [row["name"] for row in rows if row not in timed]
    if missing and timed:
        parts.append(paragraph(f"Not measured in the same process as the others, so not drawn over time: {', '.join(missing)}.", note=True))
    return join(parts)


def _ends(estimate: Results) -> tuple[float, float] | None:
    low, high = estimate["low"], estimate["high"]
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def pairs_map(results: Results) -> Html:
    """Return the differences of AP of all pairs: row minus column, shaded where the interval excludes 0."""
    names = [row["name"] for _, row in ranked(results["entries"])]
    cells: dict[tuple[str, str], Cell] = {}
    for index, pair in enumerate(results["pairs"]):
        value = pair["AP"]
        for one, other, sign in ((pair["one"], pair["other"], 1), (pair["other"], pair["one"], -1)):
            low, high = sorted((sign * value["low"], sign * value["high"]))
            wins = value["wins"] if sign == 1 else 1 - value["wins"]
            change = f"{sign * value['mean']:+.4f} ({low:+.4f} to {high:+.4f})"
            title = f"{one} minus {other}: {change}; better in {100 * wins:.1f} % of the resamples"
            shade = sign * value["mean"] / FULL_SHADE if value["certain"] else 0.0
            text = number(sign * value["mean"], style="signed", key=f"results/pairs/{index}/AP/mean" if sign == 1 else "")
            cells[one, other] = Cell(shade, text, title)
    grid = [[cells.get((one, other)) for other in names] for one in names]
    note = "Difference of test AP, row minus column. Shaded: the 95 % interval over images (paired bootstrap) and seeds excludes 0."
    return join([heat_map(names, names, grid, "minus"), paragraph(note, note=True)])


def classes_table(results: Results) -> Html:
    """Return AP by class."""
    names = results["classes"]
    columns: list[Column | str] = ["detector", *(Column(name, True) for name in names)]
    rows = [
        [row["name"], *(_estimate(row["estimates"][f"AP:{name}"], f"results/entries/{index}/estimates/AP:{name}") for name in names)]
        for index, row in ranked(results["entries"])
    ]
    return table(columns, rows, identifier="classes")


def sizes_table(results: Results) -> Html:
    """Return AP by size of the objects, means over the seeds."""
    columns: list[Column | str] = ["detector", *(Column(f"{text} ({name})", True) for name, text in SIZES.items())]
    rows = [
        [row["name"], *(number(row["test"][name], key=f"results/entries/{index}/test/{name}") for name in SIZES)]
        for index, row in ranked(results["entries"])
    ]
    return table(columns, rows, identifier="sizes")


def runs_table(results: Results) -> Html:
    """Return every run with its cost and its numbers."""
    columns: list[Column | str] = [
        *("run", Column("seed", True), Column("test AP", True), Column("val AP", True), Column("core-minutes", True)),
        *(Column("of them proposals", True), Column("steps", True), Column("images", True), "ended by", "precision", "processor"),
    ]
    rows = []
    for index, row in enumerate(results["entries"]):
        for place, run in enumerate(row["runs"]):
            key = f"results/entries/{index}/runs/{place}"
            proposals = (run["core_minutes_by_stage"] or {}).get("proposals")
            rows.append(
                [
                    *(run["name"], number(run["seed"]), number(run["test"]["AP"], key=f"{key}/test/AP")),
                    *(number((run["val"] or {}).get("AP"), key=f"{key}/val/AP"), number(run["core_minutes"], 1, key=f"{key}/core_minutes")),
                    *(number(proposals, 1), number(run["steps"], key=f"{key}/steps"), number(run["images_seen"], key=f"{key}/images_seen")),
                    *(run["reason"], run["precision"], run["processor"]),
                ]
            )
    return table(columns, rows, identifier="runs")


def learning_curves(results: Results) -> Html:
    """Return AP over the number of training images with the fitted curves, and what more images would bring."""
    parts: list[Html] = []
    for curve in results["fractions"]:
        points, fitted = curve["points"], curve["fit"]
        series = [Series("measured", [p["images"] for p in points], [p["mean"] for p in points], marks=True, color=0, style="thin")]
        if fitted is not None:
            columns = {name: [p[name] for p in fitted["curve"]] for name in ("images", "mean", "low", "high")}
            series.append(Series("fitted", columns["images"], columns["mean"], color=1, band=(columns["low"], columns["high"])))
        x = Axis.of("labeled training images", [v for one in series for v in one.x], logarithmic=True)
        y = Axis.of(
            "test AP", [v for one in series for v in (*one.y, *(one.band[0] if one.band else ()), *(one.band[1] if one.band else ()))]
        )
        parts.append(figure(lines(series, x, y, size=WIDE), curve["answer"], title=curve["name"], wide=True))
    note = "The training images are nested subsets, the same for all seeds. The band is the 95 % interval over test images and seeds."
    return join([*parts, paragraph(note, note=True)])
