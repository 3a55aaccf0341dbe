"""Fast downscaling of large images in PyTorch, on any device; :mod:`detkit.preprocess.resample` does the same in numpy."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from detkit.preprocess.resample import linear_taps
from detkit.structures import Size


def downscale(image: Tensor, size: Size, convert: Callable[[Tensor], Tensor]) -> Tensor:
    """Resize ``convert(image)`` by bilinear interpolation without antialiasing, converting only the pixels that it reads.

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
    first, second, fraction = linear_taps(length, new_length)
    return torch.from_numpy(first), torch.from_numpy(second), torch.from_numpy(fraction)
