"""Run lengths of masks as annotation tools write them, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detkit.arrays import Flags
from detkit.data.media.limits import max_pixels


def decoded_rows(runs: Sequence[int], width: int, height: int) -> Flags:
    """Return the mask ``(h, w)`` of runs that alternate between outside and inside, row by row, the first one outside.

    Raises:
        ValueError: If the runs are not as many pixels as the rectangle has, or if that is more than an image may have.
    """
    if width < 1 or height < 1 or width * height > max_pixels():
        raise ValueError(f"expected a width and height of at least 1 and at most {max_pixels():,} pixels, got {width} x {height}")
    if any(run < 0 for run in runs) or sum(runs) != width * height:
        raise ValueError(f"expected runs of {width * height} pixels in all, {width} x {height}, got {sum(runs)}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, np.array(runs, np.int64)).reshape(height, width)
