"""Parts of a page: numbers, tiles, tables that sort and filter, tabs, figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from detkit.report.markup import DASH, Content, Html, join, tag

SHOWN_ROWS = 25
"""Rows of a table that are shown before its button is pressed."""
SEARCHED_ROWS = 9
"""Tables with at least this many rows have a field to filter them."""


def number(value: float | int | None, digits: int = 3, *, key: str = "", style: Literal["plain", "percent", "signed"] = "plain") -> Html:
    """Return a number, rounded for the eye, with the exact value in ``data-value``; a dash for None and NaN.

    Args:
        value: The number.
        digits: Decimals of a float; of a percentage, two fewer are shown.
        key: Where the number is in the JSON that belongs to the page: ``analysis/ece/value``.
        style: ``signed`` always has a sign.
    """
    if value is None or not math.isfinite(value):
        return tag("span", DASH, class_="n none", data_value="", data_key=key or None)
    if isinstance(value, int):
        text = f"{value:+,}" if style == "signed" else f"{value:,}"
    elif style == "percent":
        text = f"{100 * value:.{max(digits - 2, 0)}f} %"
    else:
        text = f"{value:+.{digits}f}" if style == "signed" else f"{value:.{digits}f}"
    return tag("span", text.replace("-", "\u2212"), class_="n", data_value=repr(value), data_key=key or None)


def with_interval(value: Html, low: Html, high: Html) -> Html:
    """Return a number with its interval in small print: three results of :func:`number`."""
    return join([value, " ", tag("small", low, DASH, high, class_="interval")])


def tiles(items: Sequence[tuple[str, Html, Content]]) -> Html:
    """Return large numbers next to one another: label, number, note."""
    return tag("div", *(_tile(label, value, note) for label, value, note in items), class_="tiles")


def _tile(label: str, value: Html, note: Content) -> Html:
    return tag("div", tag("div", label, class_="label"), tag("div", value, class_="value"), tag("div", note, class_="note"), class_="tile")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Heading.
        numeric: Whether it is aligned to the right and its first click sorts from large to small.
        note: Explanation, shown when the pointer rests on the heading.
    """

    title: str
    numeric: bool = False
    note: str = ""


def table(
    columns: Sequence[Column | str],
    rows: Sequence[Sequence[Content]],
    *,
    identifier: str | None = None,
    attributes: Sequence[Mapping[str, str]] = (),
    shown: int = SHOWN_ROWS,
) -> Html:
    """Return a table: a click on a heading sorts, a field filters long ones, a button shows rows beyond the first ``shown``.

    A cell sorts by the exact value of its :func:`number`, else by its text. The table scrolls sideways within the page if it is too wide.

    Args:
        columns: Columns, or their titles.
        rows: Cells of each row.
        identifier: ``id`` of the table.
        attributes: Further attributes of each row, such as ``{"data_class": "cat"}`` for scripts.
        shown: Number of rows that are shown at first.
    """
    headings = [column if isinstance(column, Column) else Column(column) for column in columns]
    head = tag("tr", *(_heading(column) for column in headings))
    body = [
        tag("tr", *(_cell(cell, column) for cell, column in zip(row, headings, strict=True)), **(attributes[index] if attributes else {}))
        for index, row in enumerate(rows)
    ]
    search = tag("input", type="search", class_="filter", placeholder=f"Filter {len(rows):,} rows", aria_label="Filter rows")
    content = tag("table", tag("thead", head), tag("tbody", *body), id=identifier)
    return tag(
        "div",
        search if len(rows) >= SEARCHED_ROWS else None,
        tag("div", content, class_="scroll"),
        tag("button", f"Show all {len(rows):,} rows", type="button", class_="more") if len(rows) > shown else None,
        class_="table",
        data_shown=shown,
    )


def _heading(column: Column) -> Html:
    button = tag("button", column.title, type="button", title=column.note or None)
    return tag("th", button, class_="right" if column.numeric else None, scope="col")


def _cell(cell: Content, column: Column) -> Html:
    return tag("td", cell, class_="right" if column.numeric else None)


def facts(items: Sequence[tuple[str, Content]]) -> Html:
    """Return names with their values, one below the other."""
    return tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in items), class_="facts")


def tabs(items: Sequence[tuple[str, Html]]) -> Html:
    """Return panels of which one is shown at a time; all of them where scripts do not run."""
    buttons = tag("div", *(tag("button", title, type="button", role="tab") for title, _ in items), class_="tablist", role="tablist")
    panels = [tag("div", tag("h3", title), body, role="tabpanel", class_="panel") for title, body in items]
    return tag("div", buttons, *panels, class_="tabs")


def details(summary: Content, body: Html, *, opened: bool = False) -> Html:
    """Return a part that opens with a click."""
    return tag("details", tag("summary", summary), body, open=opened)


def figure(content: Html, caption: Content = None, *, title: str = "", wide: bool = False) -> Html:
    """Return a plot with its title and caption; several of them in :func:`grid`.

    A ``wide`` one takes the whole width, and scrolls sideways on a phone instead of becoming too small to read.
    """
    return tag(
        "figure",
        tag("h3", title) if title else None,
        tag("div", content, class_="scroll") if wide else content,
        tag("figcaption", caption) if caption is not None else None,
        class_="wide" if wide else None,
    )


def grid(*items: Html) -> Html:
    """Return figures next to one another where there is room."""
    return tag("div", *items, class_="grid")


def command(text: str) -> Html:
    """Return a command of a terminal with a button that copies it."""
    return tag("div", tag("pre", tag("code", text)), tag("button", "Copy", type="button", class_="copy"), class_="command")


def paragraph(*children: Content, note: bool = False) -> Html:
    """Return a paragraph, in a muted color if it is a note."""
    return tag("p", *children, class_="note" if note else None)


def option_list(label: str, options: Sequence[tuple[str, str]], **attributes: str) -> Html:
    """Return a labeled menu of values and their texts."""
    choices = (tag("option", text, value=value) for value, text in options)
    return tag("label", tag("span", label), tag("select", *choices, **attributes))
