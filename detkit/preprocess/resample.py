"""Resizing of images in numpy, with the results of PyTorch's kernels: what runs an exported file needs no PyTorch.

PyTorch's vectorized kernels round the sum of a product and another number once (a fused multiply-add), which float64 followed by one
rounding reproduces. Its other kernels, which it uses with one thread or for a few pixels, differ from these in the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from detkit.arrays import Floats, ImageArray, Integers, Size

MIN_FACTOR = 2.0
"""An image must be at least this many times larger than the result, in both directions, for :func:`downscale` to be the faster way."""

_CUBIC, _CUBIC_ANTIALIASED = -0.75, -0.5
"""Parameter of the cubic filter; PyTorch uses another one with antialiasing."""


class Taps(NamedTuple):
    """For each new pixel the two old pixels to interpolate between, and its distance from the first of them."""

    first: Integers
    second: Integers
    fraction: Floats


class Filter(NamedTuple):
    """For each new pixel the old pixels ``(n, T)`` that it is a weighted sum of, and their weights ``(n, T)``."""

    indices: Integers
    weights: Floats


def linear_taps(length: int, new_length: int) -> Taps:
    """Return the pixels that bilinear interpolation reads along a side; positions are computed in float32, as in PyTorch."""
    centers = np.arange(new_length, dtype=np.float64) + 0.5
    positions = np.maximum((np.float64(_scale(length, new_length)) * centers - 0.5).astype(np.float32), np.float32(0))
    first = np.minimum(positions.astype(np.int64), length - 1)
    return Taps(first, np.minimum(first + 1, length - 1), positions - first.astype(np.float32))


def bilinear(image: Floats, size: Size) -> Floats:
    """Resize ``(3, H, W)`` by bilinear interpolation without antialiasing."""
    columns, rows = linear_taps(image.shape[2], size[1]), linear_taps(image.shape[1], size[0])
    one = np.float32(1)
    lines = _fused(image[:, :, columns.first], one - columns.fraction, image[:, :, columns.second] * columns.fraction)
    below = lines[:, rows.second] * rows.fraction[:, None]
    return _fused(lines[:, rows.first], (one - rows.fraction)[:, None], below)


def is_large_downscale(size: Size, new_size: Size) -> bool:
    """Whether :func:`downscale` is faster than an ordinary resize."""
    return size[0] >= MIN_FACTOR * new_size[0] and size[1] >= MIN_FACTOR * new_size[1]


def downscale(image: ImageArray, size: Size, convert: Callable[[ImageArray], Floats]) -> Floats:
    """Resize ``convert(image)`` as :func:`bilinear` does, converting only the pixels that it reads.

    A result of 1 megapixel reads at most 4 of a photograph's 12 or 48 megapixels: these are gathered as bytes, and only they are
    converted.

    Args:
        image: ``(H, W, 3)``.
        size: The new ``(height, width)``.
        convert: Converts ``(h, w, 3)`` bytes to ``(3, h, w)`` floats, each pixel independently.
    """
    rows, columns = linear_taps(image.shape[0], size[0]), linear_taps(image.shape[1], size[1])
    gathered = image[np.concatenate((rows.first, rows.second))]
    pixels = convert(gathered[:, np.concatenate((columns.first, columns.second))])
    lines = lerp(pixels[..., : size[1]], pixels[..., size[1] :], columns.fraction)
    return lerp(lines[:, : size[0]], lines[:, size[0] :], rows.fraction[:, None])


def lerp(start: Floats, end: Floats, fraction: Floats) -> Floats:
    """Interpolate linearly from the nearer of the two ends, as ``torch.lerp`` does."""
    near_start = fraction < np.float32(0.5)
    return _fused(end - start, np.where(near_start, fraction, fraction - np.float32(1)), np.where(near_start, start, end))


def nearest(image: Floats, size: Size) -> Floats:
    """Resize ``(3, H, W)`` by copying the pixel at each new pixel's upper left corner."""
    rows, columns = (
        np.minimum(np.floor(np.arange(new, dtype=np.float32) * _scale(old, new)).astype(np.int64), old - 1)
        for old, new in zip(image.shape[1:], size, strict=True)
    )
    return image[:, rows][:, :, columns]


def filtered(image: Floats, size: Size, *, cubic: bool, antialias: bool) -> Floats:
    """Resize ``(3, H, W)`` with a linear or cubic filter, widened by ``antialias`` where the image is reduced."""
    make = antialiasing_filter if antialias else _plain_cubic
    columns, rows = (make(old, new, cubic) for old, new in ((image.shape[2], size[1]), (image.shape[1], size[0])))
    lines = _weighted_sum(image, columns)
    return np.ascontiguousarray(_weighted_sum(lines.swapaxes(1, 2), rows).swapaxes(1, 2))


def antialiasing_filter(length: int, new_length: int, cubic: bool) -> Filter:
    """Return the weights of a filter that covers as many old pixels as fall on a new one."""
    scale = _scale(length, new_length)
    stretch = max(scale, np.float32(1))
    support = np.float32(2 if cubic else 1) * stretch
    centers = (np.float64(scale) * (np.arange(new_length) + 0.5)).astype(np.float32)
    low = np.maximum(((centers - support).astype(np.float64) + 0.5).astype(np.int64), 0)
    high = np.minimum(((centers + support).astype(np.float64) + 0.5).astype(np.int64), length)
    indices = low[:, None] + np.arange(int((high - low).max()))
    offsets = (indices.astype(np.float32) - centers[:, None]).astype(np.float64) + 0.5
    distances = np.abs((offsets * np.float64(np.float32(1) / stretch)).astype(np.float32))
    weights = _cubic(distances, _CUBIC_ANTIALIASED) if cubic else np.maximum(np.float32(1) - distances, np.float32(0))
    weights[indices >= high[:, None]] = 0
    totals = np.cumsum(weights, axis=1, dtype=np.float32)[:, -1:]  # in order, as PyTorch sums them
    return Filter(np.minimum(indices, length - 1), np.divide(weights, totals, dtype=np.float32))


def _plain_cubic(length: int, new_length: int, _: bool) -> Filter:
    positions = (np.float64(_scale(length, new_length)) * (np.arange(new_length) + 0.5) - 0.5).astype(np.float32)
    first = np.floor(positions)
    indices = first.astype(np.int64)[:, None] + np.arange(-1, 3)
    step = (positions - first)[:, None]
    distances = np.concatenate((step + np.float32(1), step, np.float32(1) - step, np.float32(2) - step), axis=1)
    return Filter(np.clip(indices, 0, length - 1), _cubic(distances, _CUBIC))


def _cubic(distances: Floats, parameter: float) -> Floats:
    x, a = distances, np.float32(parameter)
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, inner, np.where(x < 2, outer, np.float32(0)))


def _weighted_sum(image: Floats, columns: Filter) -> Floats:
    """Filter along the last axis."""
    total = image[:, :, columns.indices[:, 0]] * columns.weights[:, 0]
    for tap in range(1, columns.weights.shape[1]):
        total = _fused(image[:, :, columns.indices[:, tap]], columns.weights[:, tap], total)
    return total


def _scale(length: int, new_length: int) -> np.float32:
    return np.float32(length) / np.float32(new_length)


def _fused(values: Floats, weights: Floats, others: Floats) -> Floats:
    """Return ``values * weights + others``, rounded once."""
    products = np.multiply(values, weights, dtype=np.float64)
    products += others
    return products.astype(np.float32)
