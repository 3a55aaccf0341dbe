"""Files in MOTChallenge's text format: a line per box, ``frame, id, left, top, width, height, score, class, visibility``.

Frames and ids count from 1; boxes are in pixels from the corner of the image, as detkit has them; :mod:`detkit.tracking.mot` writes them.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from detkit.data.readers.text import read_text
from detkit.evaluation.tracks.rows import MOT_PEDESTRIAN, TrackRows

_LEAST = 6
_MOST_FRAMES = 10_000_000
"""Frames of a sequence, which are gone through one by one; four days of video."""
_LARGEST = 1e9
_EXPECTED = "frame,id,left,top,width,height,score,class,visibility"


def read_truth(path: str | Path) -> TrackRows:
    """Read labels (``gt.txt``): a score of 0 means that a box is not evaluated; without a column of classes, all are pedestrians.

    Raises:
        ValueError: If a line is not that of a box, or an id occurs twice in a frame; the message names the line.
    """
    return _read(Path(path), default_class=MOT_PEDESTRIAN)


def read_results(path: str | Path) -> TrackRows:
    """Read results; see :func:`read_truth`. An empty file has no tracks."""
    return _read(Path(path), default_class=-1)


def _read(path: Path, default_class: int) -> TrackRows:
    lines = [(number, line) for number, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]
    values = np.array([_parse(path, number, line, default_class) for number, line in lines], np.float64).reshape(-1, 8)
    left, top, width, height = values[:, 2:6].T
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    frames, ids = values[:, 0].astype(np.int64), values[:, 1].astype(np.int64)
    return TrackRows(frames, ids, boxes, values[:, 6], values[:, 7].astype(np.int64), str(path))


def _parse(path: Path, number: int, line: str, default_class: int) -> list[float]:
    """Return the frame, id, box, score and class of a line."""
    try:
        values = [float(value) for value in line.replace(";", ",").replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) < _LEAST or not all(map(math.isfinite, values)):
        raise ValueError(f"{path}, line {number}: expected {_EXPECTED}, got {line.strip()[:80]!r}")
    if not (values[0].is_integer() and values[1].is_integer() and 1 <= values[0] < _MOST_FRAMES and abs(values[1]) < 1e15):
        got = f"got {line.strip()[:80]!r}"
        raise ValueError(f"{path}, line {number}: expected a frame number from 1 to {_MOST_FRAMES:,} and a whole number as id, {got}")
    if max(map(abs, values[2:])) >= _LARGEST:
        raise ValueError(f"{path}, line {number}: expected numbers below {_LARGEST:g}, got {line.strip()[:80]!r}")
    if values[4] < 0 or values[5] < 0:
        raise ValueError(f"{path}, line {number}: expected a width and a height of 0 or more, got {values[4]:g} and {values[5]:g}")
    score = values[6] if len(values) > _LEAST else 1.0
    kind = values[7] if len(values) > _LEAST + 1 else default_class
    return [*values[:6], score, kind]
