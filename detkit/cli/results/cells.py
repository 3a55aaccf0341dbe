"""CSV files and their cells."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""Beginning of a cell that a spreadsheet would compute, or of a cell that was quoted for that reason."""


def quoted_cell(value: object) -> str:
    """Return the cell of a name: with a single quote in front if it begins like a formula, as spreadsheets expect of text.

    To read the name back, remove one quote from cells that begin with a quote and, after all of its quotes, one of ``= + - @`` or a
    tab or line break.
    """
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) else text


class _Lines:
    """Collects the rows of a CSV writer. Both kinds of line break must be quoted in cells, so the writer ends its rows with both."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def write(self, row: str) -> None:
        """Keep a row, ended by a single line break."""
        self.text.append(row.removesuffix("\r\n") + "\n")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows of cells as CSV."""
    lines = _Lines()
    csv.writer(lines).writerows(rows)
    return "".join(lines.text)
