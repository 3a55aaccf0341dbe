"""Transforms of tiles for :mod:`detkit.accelerate.winograd`, compiled with numba.

Both kernels work on the rows of tiles from ``first`` to ``last`` (exclusive), counted over all images: row ``r`` is row ``r % rows`` of
image ``r // rows``. The second axis of ``tiles`` begins with the tiles of row ``origin``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.accelerate.threads import compiled


@compiled(fastmath=True)
def _add_product(out: Any, values: Any, factor: float) -> None:
    for channel in range(len(out)):
        out[channel] += factor * values[channel]


@compiled(fastmath=True)
def read_tiles(maps: Any, matrix: Any, step: int, origin: int, first: int, last: int, tiles: Any) -> None:
    """Write ``matrix @ d @ matrix.T`` of each square ``d`` of a map.

    Args:
        maps: ``(N, H, W, C)`` float32.
        matrix: ``(m, n)`` for squares of n cells per side.
        step: Cells from one square to the next.
        origin: Row of the first tile of ``tiles``.
        first: First row of tiles.
        last: Last row of tiles, exclusive.
        tiles: ``(m * m, T, C)``, overwritten.
    """
    count, side = matrix.shape
    rows, columns = (maps.shape[1] - side) // step + 1, (maps.shape[2] - side) // step + 1
    lines = np.empty((count, maps.shape[2], maps.shape[3]), np.float32)
    for row in range(first, last):
        image, y = row // rows, row % rows * step
        lines[:] = 0
        for i in range(count):
            for k in range(side):
                if matrix[i, k] != 0:
                    for x in range(maps.shape[2]):
                        _add_product(lines[i, x], maps[image, y + k, x], matrix[i, k])
        for column in range(columns):
            tile = (row - origin) * columns + column
            for i in range(count):
                for j in range(count):
                    out = tiles[count * i + j, tile]
                    out[:] = 0
                    for k in range(side):
                        if matrix[j, k] != 0:
                            _add_product(out, lines[i, column * step + k], matrix[j, k])


@compiled(fastmath=True)
def add_tiles(tiles: Any, matrix: Any, step: int, origin: int, first: int, last: int, maps: Any) -> None:
    """Add ``matrix @ d @ matrix.T`` of each tile ``d`` to its square of a map; squares may overlap.

    Args:
        tiles: ``(n * n, T, C)`` float32.
        matrix: ``(m, n)`` for squares of m cells per side.
        step: Cells from one square to the next.
        origin: Row of the first tile of ``tiles``.
        first: First row of tiles.
        last: Last row of tiles, exclusive.
        maps: ``(N, H, W, C)``, changed.
    """
    side, count = matrix.shape
    rows, columns = (maps.shape[1] - side) // step + 1, (maps.shape[2] - side) // step + 1
    lines = np.empty((count, maps.shape[3]), np.float32)
    for row in range(first, last):
        image, y = row // rows, row % rows * step
        for column in range(columns):
            tile = (row - origin) * columns + column
            for i in range(side):
                lines[:] = 0
                for j in range(count):
                    for k in range(count):
                        if matrix[i, k] != 0:
                            _add_product(lines[j], tiles[count * k + j, tile], matrix[i, k])
                for x in range(side):
                    for j in range(count):
                        if matrix[x, j] != 0:
                            _add_product(maps[image, y + i, column * step + x], lines[j], matrix[x, j])
