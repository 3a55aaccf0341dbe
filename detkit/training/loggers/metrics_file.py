"""The metrics of a run as JSON lines, and the same as CSV."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detkit.checkpoint.atomic import explain_write_errors, finite, write_text
from detkit.training.hooks import Hook, Record
from detkit.training.loggers.csv_table import CSVTable


class MetricsFile(Hook):
    """Metrics as one JSON object per line, and next to it a CSV file with the same rows; rows of later stages have a ``stage``.

    When a run is resumed, the rows of steps that it repeats are deleted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table = CSVTable(path.with_suffix(".csv"))
        self._stage = 0
        self._exists = False

    def start(self, step: int, stage: int = 0) -> None:
        """Delete the rows after ``step``."""
        self._stage = stage
        with explain_write_errors(self.path):
            self.path.touch()
        self._exists = True
        lines = self._lines()
        kept = [line for line in lines if _stage_and_step(line) <= (stage, step)]
        if len(kept) < len(lines):
            write_text(self.path, "".join(f"{line}\n" for line in kept))
        self._table.rewrite(map(json.loads, kept))

    def record(self, record: Record) -> None:
        """Append a row of losses."""
        self._append(asdict(record))

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Append a row of metrics."""
        self._append({"step": step, "evaluation": dict(numbers)})

    def _append(self, row: dict[str, Any]) -> None:
        """Append a row.

        Raises:
            FileNotFoundError: If the folder of the run, or the file in it, was removed.
            WriteError: If the disk is full.
        """
        if not self.path.parent.is_dir() or (self._exists and not self.path.exists()):
            raise FileNotFoundError(
                f"{self.path.parent}: the folder of the run was removed or emptied during the training; nothing more can be kept in it, "
                "so start the training again"
            )
        row = finite({"stage": self._stage, **row} if self._stage else row)
        with explain_write_errors(self.path), self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")
        self._exists = True
        if not self._table.append(row):
            self._table.rewrite(map(json.loads, self._lines()))

    def _lines(self) -> list[str]:
        return [line for line in self.path.read_text("utf-8").splitlines() if line.strip()]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a metrics file; none if it is missing. Incomplete lines of a run that was killed are skipped."""
    rows = []
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def _stage_and_step(line: str) -> tuple[int, int]:
    """Return the stage and the step of a row."""
    try:
        row = json.loads(line)
        return int(row.get("stage", 0)), int(row["step"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return sys.maxsize, 0  # an incomplete line of a run that was killed
