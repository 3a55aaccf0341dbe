"""Cells of CSV files."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""Beginning of a cell that a spreadsheet would compute, or of a cell that was quoted for that reason."""


def quoted_cell(value: object) -> str:
    """Return the cell of a name: with a single quote in front if it begins like a formula, as spreadsheets expect of text.

    To read the name back, remove one quote from cells that begin with a quote and, after all of its quotes, one of ``= + - @`` or a
    tab or line break.
    """
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) else text
