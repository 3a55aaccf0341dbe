"""Sampling of deformable attention on the CPU, compiled with numba.

The cells of an image are one flat array of ``S * heads * C`` numbers, in which the C channels of a cell and a head are neighbors. One loop
computes the cells and weights of all locations of a query along each axis, without branches, so that the compiler vectorizes it; another
one reads the four cells around each location. A cell outside of the map has the weight 0, and the nearest one inside is read in its place.

Importing this module imports numba (a third of a second). Compilation takes seconds once; later processes use numba's disk cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.accelerate.threads import compiled

# Unsigned indices spare the test for negative ones; casts keep numbers in float32, as numba computes an integer times a float32 in float64.
_F, _I, _U = np.float32, np.int64, np.uint64

BLOCK = 16
"""Queries whose locations are prepared at a time."""


@compiled(fastmath=False)
def axis_taps(locations: Any, axis: int, sizes: Any, taps: Any) -> None:
    """Write the two cells around each location along one axis, and their weights.

    Args:
        locations: ``(2 * N,)`` alternating x and y, as fractions of the map.
        axis: 0 for x, 1 for y.
        sizes: ``(N,)`` float32 width or height of the map of each location.
        taps: ``(4 * N,)`` float32, overwritten with lower cell, upper cell, lower weight and upper weight of each location. The weights of
            a location that is not finite are NaN, unless the cell is inside.
    """
    for i in range(len(sizes)):
        size = sizes[i]
        position = locations[2 * i + axis] * size - _F(0.5)
        low = np.floor(position)
        high, last, fraction = low + _F(1), size - _F(1), position - low
        outside = position - position  # 0, or NaN if the position is not finite
        taps[4 * i + 2] = _F(1) - fraction if low >= _F(0) and low <= last else outside
        taps[4 * i + 3] = fraction if high >= _F(0) and high <= last else outside
        low = low if low > _F(0) else _F(0)
        high = high if high > _F(0) else _F(0)
        taps[4 * i] = low if low < last else last
        taps[4 * i + 1] = high if high < last else last


@compiled(fastmath=False)
def axis_slopes(locations: Any, axis: int, sizes: Any, slopes: Any) -> None:
    """Write the derivatives of the lower and the upper weight of :func:`axis_taps` by the location, ``(2 * N,)``."""
    for i in range(len(sizes)):
        size = sizes[i]
        low = np.floor(locations[2 * i + axis] * size - _F(0.5))
        high, last = low + _F(1), size - _F(1)
        slopes[2 * i] = -size if low >= _F(0) and low <= last else _F(0)
        slopes[2 * i + 1] = size if high >= _F(0) and high <= last else _F(0)


@compiled(fastmath=False)
def copy_block(locations: Any, head: int, start: int, stop: int, block: Any) -> None:
    """Copy the locations ``(Q, heads, 2 * P)`` of a head and the queries ``start`` to ``stop`` (exclusive) to the front of ``block``."""
    length = locations.shape[2]
    for query in range(start, stop):
        for i in range(length):
            block[(query - start) * length + i] = locations[query, head, i]


@compiled(fastmath=False)
def corner_cells(x_taps: Any, y_taps: Any, at: int, width: float, start: float) -> Any:
    """Indices of the four cells around the location whose taps begin at ``at``: upper left, upper right, lower left, lower right."""
    # Exact in float32 up to 2 ** 24 cells.
    top, bottom = start + y_taps[at] * width, start + y_taps[at + 1] * width
    left, right = x_taps[at], x_taps[at + 1]
    return _U(_I(top + left)), _U(_I(top + right)), _U(_I(bottom + left)), _U(_I(bottom + right))


@compiled(fastmath=True)
def sample(inputs: Any, levels: Any, first: int, last: int, out: Any) -> None:
    """Sum the values of the heads ``first`` to ``last`` (exclusive) of one image at the locations of all queries.

    Args:
        inputs: float32 arrays: values ``(S * heads * C,)``; locations ``(Q, heads, 2 * P)``, alternating x and y, as fractions of the
            image; weights ``(Q, heads, P)``.
        levels: ``(3, BLOCK * P)`` float32 width, height and first cell of the level of each location, repeated for the queries of a block.
        first: First head.
        last: Head after the last one.
        out: ``(Q, heads, C)`` float32, overwritten.
    """
    values, locations, weights = inputs
    queries, heads, channels = out.shape
    points, stride = weights.shape[2], _U(heads * channels)
    block = np.empty(2 * BLOCK * points, np.float32)
    x_taps, y_taps = np.empty(4 * BLOCK * points, np.float32), np.empty(4 * BLOCK * points, np.float32)
    for head in range(first, last):
        base = _U(head * channels)
        for start in range(0, queries, BLOCK):
            stop = min(start + BLOCK, queries)
            copy_block(locations, head, start, stop, block)
            axis_taps(block, 0, levels[0], x_taps)
            axis_taps(block, 1, levels[1], y_taps)
            for query in range(start, stop):
                sums = out[query, head]
                for channel in range(channels):
                    sums[channel] = _F(0)
                for point in range(points):
                    i = (query - start) * points + point
                    a, b, c, d = corner_cells(x_taps, y_taps, 4 * i, levels[0, i], levels[2, i])
                    a, b, c, d = a * stride + base, b * stride + base, c * stride + base, d * stride + base
                    upper, lower = weights[query, head, point] * y_taps[4 * i + 2], weights[query, head, point] * y_taps[4 * i + 3]
                    left, right = x_taps[4 * i + 2], x_taps[4 * i + 3]
                    e, f, g, h = upper * left, upper * right, lower * left, lower * right
                    for channel in range(channels):
                        k = _U(channel)
                        sums[channel] += e * values[a + k] + f * values[b + k] + g * values[c + k] + h * values[d + k]


@compiled(fastmath=True)
def sample_backward(gradient: Any, inputs: Any, levels: Any, first: int, last: int, gradients: Any) -> None:
    """Compute the gradients of the heads ``first`` to ``last`` (exclusive) of one image.

    Args:
        gradient: ``(Q * heads * C,)`` float32 gradient of the sums.
        inputs: As of :func:`sample`.
        levels: As of :func:`sample`.
        first: First head.
        last: Head after the last one.
        gradients: Gradients of the inputs, in their shapes: those of values are added to, those of locations and weights overwritten.
    """
    (values, locations, weights), (by_values, by_locations, by_weights) = inputs, gradients
    queries, heads, points = weights.shape
    channels = len(gradient) // max(1, queries * heads)
    stride = _U(heads * channels)
    block = np.empty(2 * BLOCK * points, np.float32)
    x_taps, y_taps = np.empty(4 * BLOCK * points, np.float32), np.empty(4 * BLOCK * points, np.float32)
    x_slopes, y_slopes = np.empty(2 * BLOCK * points, np.float32), np.empty(2 * BLOCK * points, np.float32)
    for head in range(first, last):
        base = _U(head * channels)
        for start in range(0, queries, BLOCK):
            stop = min(start + BLOCK, queries)
            copy_block(locations, head, start, stop, block)
            axis_taps(block, 0, levels[0], x_taps)
            axis_taps(block, 1, levels[1], y_taps)
            axis_slopes(block, 0, levels[0], x_slopes)
            axis_slopes(block, 1, levels[1], y_slopes)
            for query in range(start, stop):
                u = _U((query * heads + head) * channels)
                for point in range(points):
                    i = (query - start) * points + point
                    weight = weights[query, head, point]
                    a, b, c, d = corner_cells(x_taps, y_taps, 4 * i, levels[0, i], levels[2, i])
                    a, b, c, d = a * stride + base, b * stride + base, c * stride + base, d * stride + base
                    left, right, upper, lower = x_taps[4 * i + 2], x_taps[4 * i + 3], y_taps[4 * i + 2], y_taps[4 * i + 3]
                    p = q = r = s = _F(0)
                    for channel in range(channels):
                        k = _U(channel)
                        p += gradient[u + k] * values[a + k]
                        q += gradient[u + k] * values[b + k]
                        r += gradient[u + k] * values[c + k]
                        s += gradient[u + k] * values[d + k]
                    top, bottom = left * p + right * q, left * r + right * s
                    by_weights[query, head, point] = upper * top + lower * bottom
                    first_row = x_slopes[2 * i] * p + x_slopes[2 * i + 1] * q
                    second_row = x_slopes[2 * i] * r + x_slopes[2 * i + 1] * s
                    by_locations[query, head, 2 * point] = weight * (upper * first_row + lower * second_row)
                    by_locations[query, head, 2 * point + 1] = weight * (y_slopes[2 * i] * top + y_slopes[2 * i + 1] * bottom)
                    e, f, g, h = weight * upper * left, weight * upper * right, weight * lower * left, weight * lower * right
                    add_to_cells(gradient, u, channels, (a, b, c, d), (e, f, g, h), by_values)


@compiled(fastmath=True)
def add_to_cells(gradient: Any, first: Any, channels: int, cells: Any, weights: Any, out: Any) -> None:
    """Add ``channels`` numbers of ``gradient`` from index ``first`` on, multiplied by a weight, to ``out`` at the index of each cell."""
    # One loop for each cell: the compiler vectorizes no loop over four ranges of memory that may overlap.
    a, b, c, d = cells
    for channel in range(channels):
        out[a + _U(channel)] += weights[0] * gradient[first + _U(channel)]
    for channel in range(channels):
        out[b + _U(channel)] += weights[1] * gradient[first + _U(channel)]
    for channel in range(channels):
        out[c + _U(channel)] += weights[2] * gradient[first + _U(channel)]
    for channel in range(channels):
        out[d + _U(channel)] += weights[3] * gradient[first + _U(channel)]
