"""Tracks in MOTChallenge's text format: a line per box, ``frame, id, left, top, width, height, score, -1, -1, -1``.

Frames and ids count from 1; boxes are in pixels from the corner of the image, as detkit has them. `detkit evaluate --metric hota` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from detkit.checkpoint.atomic import write_text

Row = tuple[int, int, tuple[float, float, float, float], float]
"""The frame, id, ``x1 y1 x2 y2`` and score of a box."""


def write_tracks(path: str | Path, rows: Iterable[Row]) -> None:
    """Write a file of tracks.

    Raises:
        WriteError: If the file cannot be written.
    """
    write_text(path, "".join(mot_line(*row) for row in rows))


def mot_line(frame: int, track: int, box: tuple[float, float, float, float], score: float) -> str:
    """Return the line of a box; the columns of results that have no meaning are -1."""
    x1, y1, x2, y2 = box
    return f"{frame},{track},{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},{score:.6f},-1,-1,-1\n"
