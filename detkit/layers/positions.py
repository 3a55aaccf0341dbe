"""Sine position encodings of the cells of a feature map: of relative positions, or of indices."""

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


def index_positions(size: tuple[int, int], channels: int, temperature: float = 10000.0, device: torch.device | None = None) -> Tensor:
    """``(H * W, channels)`` float32 position encodings of a map's cells in row-major order, from their row and column indices.

    The quarters of the channels are the sines of the row, its cosines, the sines of the column and its cosines; each divides the index
    by powers of ``temperature``, starting at 1. Unlike :func:`sine_positions`, an index is not divided by the size of the map.

    This is the order of ``transformers``. RT-DETR's own code (``hybrid_encoder.py``) lists columns first, but also flattens the grid by
    columns while it flattens the map by rows. On square maps, for which all published models are trained, the two errors cancel and
    the encodings are equal; on other maps that code gives cells the encodings of other cells, which is not reproduced here.

    Args:
        size: Height and width of the map in cells.
        channels: Number of channels, divisible by 4.
        temperature: Ratio of the longest wavelength to the shortest.
        device: Device of the result.
    """
    quarter = channels // 4
    frequencies = temperature ** -(torch.arange(quarter, device=device, dtype=torch.float32) / quarter)
    height, width = size
    rows, columns = (torch.arange(side, device=device, dtype=torch.float32)[:, None] * frequencies for side in size)
    by_row = torch.cat((rows.sin(), rows.cos()), 1)[:, None].expand(-1, width, -1)
    by_column = torch.cat((columns.sin(), columns.cos()), 1)[None].expand(height, -1, -1)
    return torch.cat((by_row, by_column), -1).flatten(0, 1)
