"""Bars and heat maps of plain HTML, in which names of any length and script wrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detkit.report.markup import Content, Html, tag
from detkit.report.plots import COLORS, known_intervals
from detkit.report.scale import tick_text


@dataclass(frozen=True)
class Bar:
    """A bar: its name, its value with its text, its interval, and a note after it."""

    name: str
    value: float
    text: Content = None
    interval: tuple[float, float] | None = None
    note: Content = None
    color: int = 0


def bars(rows: Sequence[Bar], high: float | None = None) -> Html:
    """Return horizontal bars from 0 on, with their intervals; names of any length and script wrap.

    Args:
        rows: The bars.
        high: Value of a full bar; by default the largest value or end of an interval.
    """
    ends = [end for row in rows for end in (row.value, *(row.interval or ())) if math.isfinite(end)]
    full = high or max([end for end in ends if end > 0], default=1.0)
    return tag("div", *(_bar(row, full) for row in rows), class_="bars")


@dataclass(frozen=True)
class Cell:
    """A cell of a heat map: shade from -1 (bad) over 0 to 1 (good or many), text, explanation; ``attributes`` make it a button."""

    shade: float
    text: Content
    title: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


def heat_map(row_names: Sequence[str], column_names: Sequence[str], cells: Sequence[Sequence[Cell | None]], corner: str = "") -> Html:
    """Return a shaded table whose names stay visible while it scrolls; None is an empty cell."""
    head = tag("tr", tag("th", corner), *(tag("th", tag("span", name), scope="col", title=name) for name in column_names))
    body = (
        tag("tr", tag("th", name, scope="row", title=name), *(_heat(cell) for cell in row))
        for name, row in zip(row_names, cells, strict=True)
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body), class_="heat"), class_="scroll heat-scroll")


def _heat(cell: Cell | None) -> Html:
    if cell is None:
        return Html("<td></td>")
    shade = 0.0 if math.isnan(cell.shade) else min(max(cell.shade, -1.0), 1.0)
    content = tag("button", cell.text, type="button", **dict(cell.attributes)) if cell.attributes else cell.text
    style = f"--v:{abs(shade):.3f}"
    return tag("td", content, style=style, class_=f"{'low ' if shade < 0 else ''}{'strong' if abs(shade) > 0.55 else ''}", title=cell.title)


def _bar(row: Bar, full: float) -> Html:
    value = row.value if math.isfinite(row.value) else 0.0
    parts = [tag("i", style=f"width:{_percent(value / full)}", class_=f"f{row.color % COLORS}")]
    for low, high in known_intervals(row.interval):
        left, right = _percent(low / full), _percent(1 - high / full)
        parts.append(tag("b", style=f"left:{left};right:{right}"))
    text = tick_text(value) if row.text is None else row.text
    values = tag("span", text, tag("small", row.note) if row.note is not None else None, class_="value")
    return tag("div", tag("span", row.name, class_="name"), tag("span", *parts, class_="track"), values, class_="bar")


def _percent(fraction: float) -> str:
    return f"{100 * min(max(fraction, 0.0), 1.0):.2f}%"
