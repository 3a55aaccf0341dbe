"""Fast downscaling of large images that converts only the pixels it reads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from detkit.structures import Size

MIN_FACTOR = 2.0
"""An image must be at least this many times larger than the result, in both directions, for this way to be the faster one."""


def is_large_downscale(size: Size, new_size: Size) -> bool:
    """Whether :func:`downscale` is faster than an ordinary resize."""
    return size[0] >= MIN_FACTOR * new_size[0] and size[1] >= MIN_FACTOR * new_size[1]


def downscale(image: Tensor, size: Size, convert: Callable[[Tensor], Tensor]) -> Tensor:
    """Resize ``convert(image)`` by bilinear interpolation without antialiasing, converting only the pixels that it reads.

    A result of 1 megapixel reads at most 4 of a photograph's 12 or 48 megapixels: these are gathered as bytes, and only they are
    converted.

    Args:
        image: ``(3, H, W)`` uint8.
        size: The new ``(height, width)``.
        convert: Converts bytes to floats, each pixel independently.
    """
    top, bottom, y_fraction = _taps(image.shape[1], size[0])
    left, right, x_fraction = _taps(image.shape[2], size[1])
    rows = image.permute(1, 2, 0).index_select(0, torch.cat((top, bottom)).to(image.device))
    pixels = convert(rows.index_select(1, torch.cat((left, right)).to(image.device)).permute(2, 0, 1))
    lines = torch.lerp(pixels[..., : size[1]], pixels[..., size[1] :], x_fraction.to(pixels.device))
    return torch.lerp(lines[:, : size[0]], lines[:, size[0] :], y_fraction.to(pixels.device)[:, None])


def _taps(length: int, new_length: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each new pixel the two old pixels to interpolate between, and its distance from the first of them.

    Positions are computed as in PyTorch's kernels, in float32 with a fused multiply-add; float64 followed by one rounding gives the
    same values.
    """
    scale = torch.tensor(length, dtype=torch.float32) / new_length
    centers = torch.arange(new_length, dtype=torch.float64) + 0.5
    positions = (scale.double() * centers - 0.5).float().clamp(min=0)
    first = positions.long().clamp(max=length - 1)
    return first, (first + 1).clamp(max=length - 1), positions - first
