"""Where each cell of a map lies, in numbers that attention can add to what the cell holds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-6
"""Keeps a position's share finite (DETR's constant)."""


def sine_positions(valid: Tensor, channels: int, temperature: float = 10000.0) -> Tensor:
    """``(B, H * W, channels)`` float32 codes of the cells of a map, row by row: sines and cosines, half of the channels for each axis.

    A cell's place is its row or column among the valid ones, as a share of them times 2 pi; channel pairs divide it by powers of
    ``temperature`` from 1 on. Source: DETR (arXiv:2005.12872), appendix, and its ``PositionEmbeddingSine(normalize=True)``.

    Args:
        valid: ``(B, H, W)`` bool, False where a cell lies in the padding.
        channels: Divisible by 4.
        temperature: The slowest wave is this many times as long as the fastest.
    """
    half = channels // 2
    waves = temperature ** (2 * torch.div(torch.arange(half, device=valid.device), 2, rounding_mode="floor") / half)
    codes = []
    for axis in (1, 2):
        counted = valid.cumsum(axis, dtype=torch.float32)
        angles = (counted / (counted.amax(axis, keepdim=True) + EPSILON) * (2 * math.pi))[..., None] / waves
        codes.append(torch.stack((angles[..., 0::2].sin(), angles[..., 1::2].cos()), -1).flatten(-2))
    return torch.cat(codes, -1).flatten(1, 2)
