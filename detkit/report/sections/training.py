"""The training: losses, learning rate and validation over the steps, and the augmented batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from detkit.report.gallery import image_with_boxes
from detkit.report.images import Thumbnail
from detkit.report.markup import Html, join
from detkit.report.page import Section
from detkit.report.parts import details, figure, grid, paragraph, tabs
from detkit.report.plots import Series, curve_data, lines
from detkit.report.scale import Axis
from detkit.report.training import StageCurves, TrainingFacts

POINTS = 400
"""Points of a curve; of more steps, evenly spaced ones are drawn."""
BATCH_SIDE = 1200
"""Longer side of the drawing of a batch in pixels of the file."""
_METRICS = ("AP", "AP50", "AP75", "AR100", "top1", "top5", "balanced")


def section(facts: TrainingFacts, batches: Sequence[Thumbnail | None]) -> tuple[Section, dict[str, Any]]:
    """Return the section of the training and the values for its scripts."""
    data: dict[str, Any] = {}
    panels = [(stage.name, _stage(stage, index, data)) for index, stage in enumerate(facts.stages)]
    body = panels[0][1] if len(panels) == 1 else tabs(panels) if panels else paragraph("The run has no metrics file.")
    drawn = [
        figure(image_with_boxes(image, alt=f"training batch {index + 1}"), f"Training batch {index + 1}, augmented, with its targets.")
        for index, image in enumerate(batches)
        if image is not None
    ]
    images = details("Augmented training batches", grid(*drawn)) if drawn else None
    return Section("training", "Training", join([body, images])), data


def _stage(stage: StageCurves, index: int, data: dict[str, Any]) -> Html:
    rows = _thinned(stage.records)
    steps = [float(row["step"]) for row in rows]
    figures = []
    if rows:
        losses = {name: [_number(row["losses"].get(name)) for row in rows] for name in rows[-1]["losses"]}
        figures.append(_figure("Losses", "loss", steps, losses, f"training-{index}-losses", data))
        rates = {"learning rate": [_number(row.get("lr")) for row in rows]}
        figures.append(_figure("Learning rate", "learning rate", steps, rates, f"training-{index}-lr", data))
    if stage.evaluations:
        known = [name for name in _METRICS if name in stage.evaluations[-1][1]]
        metrics = {name: [_number(row.get(name)) for _, row in stage.evaluations] for name in known}
        at = [float(step) for step, _ in stage.evaluations]
        figures.append(_figure("Validation", "metric", at, metrics, f"training-{index}-validation", data, marks=True))
    return grid(*figures) if figures else paragraph("This stage has no steps.")


def _figure(
    title: str,
    label: str,
    steps: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    key: str,
    data: dict[str, Any],
    *,
    marks: bool = False,
) -> Html:
    data[key] = {"all": curve_data("step", steps, curves)}
    series = [Series(name, steps, values, color=number, marks=marks) for number, (name, values) in enumerate(curves.items())]
    y = Axis.of(label, _finite(curves), from_zero=True)
    return figure(lines(series, Axis.of("step", steps, from_zero=True), y, data=key), title=title)


def _finite(curves: Mapping[str, Sequence[float]]) -> Iterator[float]:
    """Yield what the y axis must hold: all values, but of long curves not the largest hundredth, such as a loss of the first steps."""
    for values in curves.values():
        known = sorted(value for value in values if math.isfinite(value))
        yield from known[: len(known) - len(known) // 100]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _thinned(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if len(rows) <= POINTS:
        return list(rows)
    return [rows[round(index * (len(rows) - 1) / (POINTS - 1))] for index in range(POINTS)]
