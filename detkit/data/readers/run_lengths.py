"""Run lengths of masks as annotation tools write them, on the way into COCO's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detkit.arrays import Flags, Size
from detkit.data.media.limits import max_pixels


def coco_runs(crop: Flags, left: int, top: int, size: Size) -> dict[str, Any]:
    """Return a mask that is given by a rectangle of its image, as COCO's run lengths.

    Args:
        crop: ``(h, w)`` bool.
        left: Column of the image at which the rectangle begins.
        top: Row of the image at which it begins.
        size: ``(height, width)`` of the image, in which the rectangle is.
    """
    height, width = size
    columns, rows = np.nonzero(crop.T)
    inside = (columns + left) * height + rows + top
    breaks = np.flatnonzero(np.diff(inside) != 1) + 1
    starts = inside[np.concatenate([np.zeros(min(1, len(inside)), np.int64), breaks])]
    ends = inside[np.concatenate([breaks - 1, np.full(min(1, len(inside)), len(inside) - 1)]).astype(np.int64)] + 1
    edges = np.stack([starts, ends], 1).reshape(-1)
    return {"size": [height, width], "counts": np.diff(edges, prepend=0, append=height * width).tolist()}


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
