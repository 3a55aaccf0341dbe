"""Anchors and points on the grid of every level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from detkit.structures import Size


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """``(R * S, 4)`` anchors centered at the origin, rounded to whole pixels, grouped by ratio; a ratio is height / width.

    Source: torchvision's ``AnchorGenerator.generate_anchors``.
    """
    height_factors = torch.as_tensor(ratios, dtype=torch.float32).sqrt()
    scales = torch.as_tensor(sizes, dtype=torch.float32)
    widths = ((1 / height_factors)[:, None] * scales).flatten()
    heights = (height_factors[:, None] * scales).flatten()
    return (torch.stack((-widths, -heights, widths, heights), 1) / 2).round()


def grid_strides(padded_size: Size, grids: Sequence[Size]) -> tuple[Size, ...]:
    """Stride of each grid in pixels, ``(vertical, horizontal)``: padded size // grid size, torchvision's rule."""
    return tuple((padded_size[0] // height, padded_size[1] // width) for height, width in grids)


def grid_points(grid: Size, stride: Size, offset: float = 0.0, device: torch.device | None = None) -> Tensor:
    """``(H * W, 2)`` float32 ``x y`` of a grid's cells in row-major order; ``offset`` is in strides (0.5: center of the cell)."""
    y = (torch.arange(grid[0], dtype=torch.float32, device=device) + offset) * stride[0]
    x = (torch.arange(grid[1], dtype=torch.float32, device=device) + offset) * stride[1]
    return torch.stack((x.repeat(grid[0]), y.repeat_interleave(grid[1])), 1)


def grid_anchors(cells: Sequence[Tensor], grids: Sequence[Size], strides: Sequence[Size]) -> list[Tensor]:
    """For each level ``(H * W * A, 4)`` anchors: the level's ``(A, 4)`` cell anchors at every cell, grouped by cell."""
    anchors = []
    for cell, grid, stride in zip(cells, grids, strides, strict=True):
        points = grid_points(grid, stride, device=cell.device)
        anchors.append((points.repeat(1, 2)[:, None] + cell).reshape(-1, 4))
    return anchors
