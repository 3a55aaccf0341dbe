"""Sine position encodings of the cells of a feature map."""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-6
"""Keeps relative positions finite (DETR's constant)."""


def sine_positions(valid: Tensor, channels: int, temperature: float = 10000.0) -> Tensor:
    """``(B, H * W, channels)`` float32 position encodings of a map's cells in row-major order; half of the channels for each axis.

    The position of a cell is its row or column among the valid ones, divided by their number and times 2 pi. Pairs of channels hold
    the sine and cosine of the position divided by powers of ``temperature``, starting at 1. Source: DETR (arXiv:2005.12872),
    appendix, and its ``PositionEmbeddingSine(normalize=True)``.

    Args:
        valid: ``(B, H, W)`` bool, False for cells in the padding.
        channels: Number of channels, divisible by 4.
        temperature: Ratio of the longest wavelength to the shortest.
    """
    half = channels // 2
    wavelengths = temperature ** (2 * torch.div(torch.arange(half, device=valid.device), 2, rounding_mode="floor") / half)
    encodings = []
    for axis in (1, 2):
        index = valid.cumsum(axis, dtype=torch.float32)
        angles = (index / (index.amax(axis, keepdim=True) + EPSILON) * (2 * math.pi))[..., None] / wavelengths
        encodings.append(torch.stack((angles[..., 0::2].sin(), angles[..., 1::2].cos()), -1).flatten(-2))
    return torch.cat(encodings, -1).flatten(1, 2)
