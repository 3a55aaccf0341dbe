"""A CSV file of rows whose names become known as they come: new columns are added on the right, and existing ones stay where they are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from detkit.checkpoint.atomic import explain_write_errors, write_text

FIRST_COLUMNS = ("stage", "step", "progress", "lr", "gradient_norm", "images_seen", "core_minutes", "seconds", "waiting")
_GROUPS = {"losses": "losses", "evaluation": "validation"}
"""Groups of a row of the metrics file, and the prefix of their columns, as in TensorBoard."""


class CSVTable:
    """Rows of the metrics file as CSV, one row per record or evaluation; a number that a row does not have is an empty cell.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: tuple[str, ...] = ()

    def rewrite(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the whole file.

        Raises:
            WriteError: If the disk is full.
        """
        cells = [_cells(row) for row in rows]
        self._columns = tuple(dict.fromkeys((*FIRST_COLUMNS, *(name for row in cells for name in row))))
        write_text(self.path, _text([self._columns, *(self._values(row) for row in cells)]))

    def append(self, row: Mapping[str, Any]) -> bool:
        """Append a row, and return True; return False, without a change, if the file lacks one of its columns or does not exist.

        Raises:
            WriteError: If the disk is full.
        """
        cells = _cells(row)
        if not cells.keys() <= set(self._columns) or not self.path.is_file():
            return False
        with explain_write_errors(self.path), self.path.open("a", encoding="utf-8", newline="") as handle:
            handle.write(_text([self._values(cells)]))
        return True

    def _values(self, cells: Mapping[str, Any]) -> list[Any]:
        return [cells.get(name) for name in self._columns]


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row of the metrics file by column."""
    cells: dict[str, Any] = {"stage": row.get("stage", 0)}
    for name, value in row.items():
        if name in _GROUPS:
            cells |= {f"{_GROUPS[name]}/{key}": number for key, number in value.items()}
        else:
            cells[name] = value
    return cells


def _text(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
