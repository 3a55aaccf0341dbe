"""State of all tracks between frames, in one array with a row for each track."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.arrays import Integers

FORGET_AFTER = 3600
"""Number of updates without a track after which it is forgotten; at 30 frames a second, two minutes."""


class TrackMemory:
    """Rows of a structured array by the ids of tracks; new rows are zero, and those of tracks that ended are dropped.

    Args:
        fields: Names and types of the columns, as for ``numpy.dtype``.
        forget_after: Number of updates without a track after which its row is dropped.

    Attributes:
        table: The rows, in the order of their ids.
    """

    def __init__(self, fields: list[Any], forget_after: int = FORGET_AFTER) -> None:
        self.table: NDArray[Any] = np.zeros(0, [("id", np.int64), ("seen", np.int64), *fields])
        self._forget_after, self._updates = forget_after, 0

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, ids: Integers) -> Integers:
        """Return the indices of the rows of the tracks of a frame, and make rows for those that have none."""
        self._updates += 1
        if self._updates % max(self._forget_after // 8, 1) == 0:
            self.table = self.table[self._updates - self.table["seen"] < self._forget_after]
        new = np.setdiff1d(ids, self.table["id"])
        if len(new):
            added = np.zeros(len(new), self.table.dtype)
            added["id"] = new
            self.table = np.concatenate([self.table, added])
            self.table.sort(order="id", kind="stable")
        rows: Integers = np.searchsorted(self.table["id"], ids)
        self.table["seen"][rows] = self._updates
        return rows
