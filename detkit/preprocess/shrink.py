"""Shrinking a large image by its few pixels that count."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from detkit.structures import Size

LEAST = 2.0
"""How many times larger than the result a image must be in both directions for this way to be the faster one."""


def shrinks_much(size: Size, new_size: Size) -> bool:
    """Whether :func:`shrink` is worth its while."""
    return size[0] >= LEAST * new_size[0] and size[1] >= LEAST * new_size[1]


def shrink(image: Tensor, size: Size, convert: Callable[[Tensor], Tensor]) -> Tensor:
    """What bilinear interpolation without antialiasing makes of ``convert(image)``, from the pixels that it reads alone.

    A result of 1 megapixel reads at most 4 of a photograph's 12 or 48: those are picked as bytes, and only they are converted.

    Args:
        image: ``(3, H, W)`` uint8.
        size: The new ``(height, width)``.
        convert: Makes floats of bytes, each pixel by itself.
    """
    above, below, down = _taps(image.shape[1], size[0])
    left, right, along = _taps(image.shape[2], size[1])
    rows = image.permute(1, 2, 0).index_select(0, torch.cat((above, below)).to(image.device))
    picked = convert(rows.index_select(1, torch.cat((left, right)).to(image.device)).permute(2, 0, 1))
    lines = torch.lerp(picked[..., : size[1]], picked[..., size[1] :], along.to(picked.device))
    return torch.lerp(lines[:, : size[0]], lines[:, size[0] :], down.to(picked.device)[:, None])


def _taps(length: int, new_length: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each new pixel the two old ones it lies between, and how far from the first it is.

    Places are computed as PyTorch's kernels do: in float32 with a fused multiply-add, which float64 and one rounding equal.
    """
    scale = torch.tensor(length, dtype=torch.float32) / new_length
    middles = torch.arange(new_length, dtype=torch.float64) + 0.5
    places = (scale.double() * middles - 0.5).float().clamp(min=0)
    first = places.long().clamp(max=length - 1)
    return first, (first + 1).clamp(max=length - 1), places - first
