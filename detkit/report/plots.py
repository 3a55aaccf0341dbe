"""Plots as SVG, drawn without a plotting library: curves, and scatters with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from detkit.report.markup import Html, join, tag
from detkit.report.scale import Axis, tick_text

Size = tuple[int, int]
SIZE: Size = (440, 300)
"""Width and height of a plot in units of its text, which has 12; on a phone a plot of this width is still readable."""
WIDE: Size = (860, 420)
"""Size of a plot over the whole width of a page, for :func:`~detkit.report.parts.figure` with ``wide=True``."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 14, 12, 42
COLORS = 10
"""Colors of series, from the style sheet; further series repeat them."""


@dataclass(frozen=True)
class Series:
    """A curve.

    Attributes:
        name: Its name in the legend.
        x: Its x values.
        y: Its y values; a curve is interrupted at values that are not finite.
        color: Number of its color; None for the next one, -1 for the text's color.
        style: Its line.
        marks: Whether its points are drawn.
        band: Lower and upper ends of an interval around each point.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: int | None = None
    style: Literal["solid", "dashed", "thin"] = "solid"
    marks: bool = False
    band: tuple[Sequence[float], Sequence[float]] | None = None


@dataclass(frozen=True)
class Mark:
    """A single point of a plot, such as an operating point, with its text."""

    x: float
    y: float
    text: str
    color: int = -1


@dataclass(frozen=True)
class Point:
    """A point of a scatter with intervals: ``(low, high)`` of each axis, where known."""

    name: str
    x: float
    y: float
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None
    color: int | None = None
    href: str = ""


def lines(
    series: Sequence[Series], x: Axis, y: Axis, *, marks: Sequence[Mark] = (), size: Size = SIZE, data: str = "", legend: bool = True
) -> Html:
    """Return curves.

    Args:
        series: The curves; those with a name are in the legend.
        x: The x axis.
        y: The y axis.
        marks: Single points on top.
        size: Width and height.
        data: ``id`` of a JSON block of the page (``Page.data``) with exact values, for scripts; see :func:`curve_data`. They show those at
            the pointer, and draw the curves of a key that is chosen in a menu of the section (``option_list(..., class_="curves")``).
        legend: Whether a legend is drawn below, if there are several curves.
    """
    shapes = [shape for index, one in enumerate(series) for shape in _curve(one, index, x, y, size)]
    dots = [_dot(mark, x, y, size) for mark in marks]
    chart = _svg([_axes(x, y, size), tag("g", class_="extra"), *shapes, *dots], size, x, y, data)
    named = [(one.name, _color(one.color, index), one.style) for index, one in enumerate(series) if one.name]
    return join([chart, _legend(named) if legend and len(named) > 1 else None])


def curve_data(name: str, x: Sequence[float], curves: Mapping[str, Sequence[float]], marks: Sequence[Mark] = ()) -> dict[str, Any]:
    """Return the value of a key of the JSON block of a plot: the curves of one class, say, in the order of their colors."""
    drawn = [[mark.x, mark.y, mark.text] for mark in marks if math.isfinite(mark.x) and math.isfinite(mark.y)]
    return {"name": name, "x": list(x), "curves": {key: list(values) for key, values in curves.items()}, "marks": drawn}


def scatter(points: Sequence[Point], x: Axis, y: Axis, *, size: Size = WIDE) -> Html:
    """Return labeled points with their intervals as crosses."""
    shapes = []
    for index, point in enumerate(points):
        if not (math.isfinite(point.x) and math.isfinite(point.y)):
            continue
        color = _color(point.color, index)
        shapes += [_segment((low, point.y), (high, point.y), x, y, size, color) for low, high in known_intervals(point.x_interval)]
        shapes += [_segment((point.x, low), (point.x, high), x, y, size, color) for low, high in known_intervals(point.y_interval)]
        shapes.append(_named_dot(point, color, x, y, size))
    return _svg([_axes(x, y, size), *shapes], size, x, y, "")


def _svg(children: Sequence[Html], size: Size, x: Axis, y: Axis, data: str) -> Html:
    plot = f"{_LEFT} {_TOP} {size[0] - _LEFT - _RIGHT} {size[1] - _TOP - _BOTTOM}"
    ranges = {"data_x": f"{x.low!r} {x.high!r} {int(x.logarithmic)}", "data_y": f"{y.low!r} {y.high!r} {int(y.logarithmic)}"}
    label = f"{y.label} over {x.label}"
    attributes = {"viewBox": f"0 0 {size[0]} {size[1]}", "data_plot": plot, **ranges, "data_source": data or None}
    return tag("svg", *children, class_="chart", role="img", aria_label=label, **attributes)


def _axes(x: Axis, y: Axis, size: Size) -> Html:
    parts = []
    for value in y.ticks():
        height = _place(x.low, value, x, y, size)[1]
        parts.append(tag("line", x1=_LEFT, x2=size[0] - _RIGHT, y1=_text(height), y2=_text(height)))
        parts.append(tag("text", tick_text(value), x=_LEFT - 6, y=_text(height + 4), class_="end"))
    for value in x.ticks():
        left = _place(value, y.low, x, y, size)[0]
        parts.append(tag("line", x1=_text(left), x2=_text(left), y1=_TOP, y2=size[1] - _BOTTOM))
        parts.append(tag("text", tick_text(value), x=_text(left), y=size[1] - _BOTTOM + 16, class_="middle"))
    parts.append(tag("text", x.label, x=_text((_LEFT + size[0] - _RIGHT) / 2), y=size[1] - 6, class_="middle label"))
    middle = (_TOP + size[1] - _BOTTOM) / 2
    parts.append(tag("text", y.label, transform=f"translate(12 {_text(middle)}) rotate(-90)", class_="middle label"))
    return tag("g", *parts, class_="axes")


def _curve(series: Series, index: int, x: Axis, y: Axis, size: Size) -> list[Html]:
    color = _color(series.color, index)
    shapes = []
    if series.band is not None:
        lower, upper = (_runs(series.x, values, x, y, size) for values in series.band)
        shapes += [
            tag("polygon", points=_points([*low, *high[::-1]]), class_=f"band {color}") for low, high in zip(lower, upper, strict=False)
        ]
    runs = _runs(series.x, series.y, x, y, size)
    shapes += [tag("polyline", points=_points(run), class_=f"curve {series.style} {color}") for run in runs if len(run) > 1]
    lonely = [point for run in runs for point in run if series.marks or len(run) == 1]
    shapes += [tag("circle", cx=_text(a), cy=_text(b), r=3, class_=color) for a, b in lonely]
    return shapes


def _runs(xs: Sequence[float], ys: Sequence[float], x: Axis, y: Axis, size: Size) -> list[list[tuple[float, float]]]:
    """Return the parts of a curve between points that cannot be drawn, in pixels."""
    runs: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(xs, ys, strict=True):
        if math.isfinite(a) and math.isfinite(b) and not (x.logarithmic and a <= 0) and not (y.logarithmic and b <= 0):
            runs[-1].append(_place(a, b, x, y, size))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _dot(mark: Mark, x: Axis, y: Axis, size: Size) -> Html:
    a, b = _place(mark.x, mark.y, x, y, size)
    dot = tag("circle", tag("title", mark.text), cx=_text(a), cy=_text(b), r=5)
    left = a > size[0] * 0.6
    text = tag("text", mark.text, x=_text(a + (-9 if left else 9)), y=_text(b - 7 if b > 40 else b + 16), class_="end" if left else None)
    return tag("g", dot, text, class_=f"mark {_color(mark.color, 0)}")


def _named_dot(point: Point, color: str, x: Axis, y: Axis, size: Size) -> Html:
    a, b = _place(point.x, point.y, x, y, size)
    dot = tag("circle", tag("title", point.name), cx=_text(a), cy=_text(b), r=5)
    left = a > size[0] * 0.75
    text = tag("text", point.name, x=_text(a + (-8 if left else 8)), y=_text(b - 6), class_="end" if left else None)
    drawn = tag("a", dot, text, href=point.href) if point.href else join([dot, text])
    values = {"data_name": point.name, "data_x": repr(point.x), "data_y": repr(point.y)}
    return tag("g", drawn, class_=f"point {color}", **values)


def _segment(start: tuple[float, float], end: tuple[float, float], x: Axis, y: Axis, size: Size, color: str) -> Html:
    (x1, y1), (x2, y2) = _place(*start, x, y, size), _place(*end, x, y, size)
    return tag("line", x1=_text(x1), y1=_text(y1), x2=_text(x2), y2=_text(y2), class_=f"interval {color}")


def _legend(named: Sequence[tuple[str, str, str]]) -> Html:
    entries = (tag("span", tag("i", class_=f"{color} {style}"), name) for name, color, style in named)
    return tag("div", *entries, class_="legend")


def known_intervals(interval: tuple[float, float] | None) -> list[tuple[float, float]]:
    """Return a list of an interval, empty if it is unknown or not finite."""
    return [interval] if interval is not None and all(map(math.isfinite, interval)) else []


def _color(color: int | None, index: int) -> str:
    number = index if color is None else color
    return "ink" if number < 0 else f"c{number % COLORS}"


def _place(a: float, b: float, x: Axis, y: Axis, size: Size) -> tuple[float, float]:
    width, height = size[0] - _LEFT - _RIGHT, size[1] - _TOP - _BOTTOM
    return _LEFT + x.fraction(a) * width, _TOP + (1 - y.fraction(b)) * height


def _points(run: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_text(a)},{_text(b)}" for a, b in run)


def _text(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
