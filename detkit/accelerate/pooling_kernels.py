"""RoI align on the CPU, compiled with numba; torchvision's own is single-threaded and not vectorized.

Bilinear samples on a regular grid are separable: the value of a cell is a weighted sum over a few rows and columns of the map, and
the weights of equal rows and columns of neighboring samples are added first. The inner loops run along the channels, which are
contiguous in channels-last maps, so that the compiler vectorizes them.

Importing this module imports numba (a third of a second). Compilation takes seconds once; later processes use numba's disk cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from detkit.accelerate.threads import compiled

# The casts keep everything in float32: numba computes an integer times a float32 in float64, and samples exactly at the border of
# the map could then end on the other side of it than torchvision's.
_F = np.float32


def _to_float32(value: Any) -> Any:
    """Convert a float32, or the bits of a bfloat16, to float32; exists in compiled code only."""


def _from_float32(like: Any, value: Any) -> Any:
    """Convert a float32 to the dtype of ``like``: float32, or the bits of the nearest bfloat16; exists in compiled code only."""


@overload(_to_float32, strict=False)
def _to_float32_compiled(value: Any) -> Any:
    if isinstance(value, types.Float):
        return lambda value: value
    return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)


@overload(_from_float32, strict=False)
def _from_float32_compiled(like: Any, value: Any) -> Any:
    if isinstance(like.dtype, types.Float):
        return lambda like, value: value

    def to_bfloat16(like: Any, value: Any) -> Any:
        bits = np.uint32(_F(value).view(np.uint32))
        return np.uint16((bits + np.uint64(0x7FFF) + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16))

    return to_bfloat16


@compiled(fastmath=False)
def samples_per_cell(extent: float, cells: int, ratio: int) -> int:
    """Samples per output cell, for ``cells`` output cells along ``extent`` map cells; ``ratio`` 0 adapts to the extent."""
    return ratio if ratio > 0 else int(np.ceil(extent / _F(cells)))


@compiled(fastmath=False)
def axis_taps(start: float, extent: float, size: int, samples: int, taps: Any, weights: Any, counts: Any) -> None:
    """Write which of ``size`` map rows (or columns) each output cell sums, and their weights."""
    cells = len(counts)
    step = _F(extent) / _F(cells)
    for cell in range(cells):
        count = 0
        for sample in range(samples):
            position = _F(start) + _F(cell) * step + (_F(sample) + _F(0.5)) * step / _F(samples)
            if not (position >= _F(-1) and position <= _F(size)):
                continue
            position = max(position, _F(0))
            low = int(position)
            fraction = position - _F(low)
            if low >= size - 1:
                low, fraction = size - 1, _F(0)
            for tap, weight in ((low, _F(1) - fraction), (low + 1, fraction)):
                if weight == _F(0):
                    continue
                # Samples are in ascending order, so an equal tap is among the last two.
                index = count
                if count > 0 and taps[cell, count - 1] == tap:
                    index = count - 1
                elif count > 1 and taps[cell, count - 2] == tap:
                    index = count - 2
                else:
                    taps[cell, index], weights[cell, index] = tap, _F(0)
                    count += 1
                weights[cell, index] += weight / _F(samples)
        counts[cell] = count


@compiled(fastmath=False)
def region_taps(region: Any, size: Any, cells: int, ratio: int, scale: float, aligned: bool, y_taps: Any, x_taps: Any) -> None:
    """Fill the ``(taps, weights, counts)`` of both directions for ``region`` = image, x1, y1, x2, y2."""
    shift = _F(0.5) if aligned else _F(0)
    x, y = region[1] * scale - shift, region[2] * scale - shift
    width, height = region[3] * scale - shift - x, region[4] * scale - shift - y
    if not aligned:
        width, height = max(width, _F(1)), max(height, _F(1))
    axis_taps(y, height, size[0], samples_per_cell(height, cells, ratio), y_taps[0], y_taps[1], y_taps[2])
    axis_taps(x, width, size[1], samples_per_cell(width, cells, ratio), x_taps[0], x_taps[1], x_taps[2])


@compiled(fastmath=False)
def allocate_taps(regions: Any, rows: Any, cells: int, ratio: int, scale: float) -> Any:
    """Allocate ``(taps, weights, counts)`` of one direction, large enough for the largest of ``rows``."""
    max_samples = ratio
    if ratio <= 0:
        for row in rows:
            for low in (1, 2):
                max_samples = max(max_samples, samples_per_cell((regions[row, low + 2] - regions[row, low]) * scale, cells, ratio) + 1)
    shape = (cells, 2 * max_samples + 2)
    return np.empty(shape, np.int64), np.empty(shape, np.float32), np.empty(cells, np.int64)


@compiled(fastmath=True)
def pool(level: Any, regions: Any, rows: Any, out: Any, ratio: int, scale: float, aligned: bool) -> None:
    """Pool ``rows`` of ``regions (N, 5)`` from ``level (B, H, W, C)`` to ``out (N, C, P * P)``; bfloat16 as uint16 bits."""
    channels, cells = out.shape[1], int(np.sqrt(out.shape[2]))
    y_taps, x_taps = allocate_taps(regions, rows, cells, ratio, scale), allocate_taps(regions, rows, cells, ratio, scale)
    tile = np.empty((cells * cells, channels), np.float32)
    for row in rows:
        region_taps(regions[row], level.shape[1:3], cells, ratio, scale, aligned, y_taps, x_taps)
        image = np.uint64(regions[row, 0])
        for cell in range(cells * cells):
            i, j = cell // cells, cell % cells
            tile[cell] = _F(0)
            for a in range(y_taps[2][i]):
                for b in range(x_taps[2][j]):
                    weight = y_taps[1][i, a] * x_taps[1][j, b]
                    y, x = np.uint64(y_taps[0][i, a]), np.uint64(x_taps[0][j, b])
                    for channel in range(channels):
                        tile[cell, channel] += weight * _to_float32(level[image, y, x, channel])
        for channel in range(channels):
            for cell in range(cells * cells):
                out[row, channel, cell] = _from_float32(out, tile[cell, channel])


@compiled(fastmath=True)
def pool_backward(gradient: Any, regions: Any, rows: Any, out: Any, first: int, last: int, ratio: int, scale: float, aligned: bool) -> None:
    """Add the ``(N, C, P * P)`` gradient of ``rows`` to the map's ``out (B, H, W, C)``, channels ``first`` to ``last`` (exclusive)."""
    cells = int(np.sqrt(gradient.shape[2]))
    y_taps, x_taps = allocate_taps(regions, rows, cells, ratio, scale), allocate_taps(regions, rows, cells, ratio, scale)
    channels = last - first
    tile = np.empty((cells * cells, channels), np.float32)
    flat = out.reshape(-1)
    for row in rows:
        region_taps(regions[row], out.shape[1:3], cells, ratio, scale, aligned, y_taps, x_taps)
        image = int(regions[row, 0])
        for channel in range(channels):
            for cell in range(cells * cells):
                tile[cell, channel] = _to_float32(gradient[row, first + channel, cell])
        for cell in range(cells * cells):
            i, j = cell // cells, cell % cells
            for a in range(y_taps[2][i]):
                for b in range(x_taps[2][j]):
                    weight = y_taps[1][i, a] * x_taps[1][j, b]
                    y, x = y_taps[0][i, a], x_taps[0][j, b]
                    base = np.uint64(((image * out.shape[1] + y) * out.shape[2] + x) * out.shape[3] + first)
                    for channel in range(channels):
                        flat[base + np.uint64(channel)] += weight * tile[cell, channel]
