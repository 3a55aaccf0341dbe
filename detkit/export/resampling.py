"""Resizing and average pooling to any size as products of matrices, which every operator set can hold for images of any size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def resized(images: Tensor, factor: float) -> Tensor:
    """Resize a batch of images by a factor; equal to :func:`detkit.models.fast_rcnn.resize`."""
    if factor == 1:
        return images
    return _along_both(images, [_resampling(images.shape[axis], factor, images) for axis in (2, 3)])


def average_pooled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Pool ``(B, C, H, W)`` to ``(B, C, *size)``; equal to :func:`torch.nn.functional.adaptive_avg_pool2d`."""
    return _along_both(maps, [_averaging(maps.shape[axis], count, maps) for axis, count in zip((2, 3), size, strict=True)])


class AveragePool(nn.Module):
    """Pools maps to one size; see :func:`average_pooled`."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to ``(B, C, *size)``."""
        return average_pooled(maps, self.size)


def replace_adaptive_pools(module: nn.Module) -> None:
    """Replace the adaptive average pools of a network, in place, except those to one cell, for which there is an operator."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size not in (1, (1, 1)):
                size: Any = child.output_size
                parent.add_module(name, AveragePool((size, size) if isinstance(size, int) else size))


def _along_both(maps: Tensor, weights: list[Tensor]) -> Tensor:
    rows, columns = weights
    return torch.matmul(rows, torch.matmul(maps, columns.transpose(0, 1)))


def _resampling(length: Tensor | int, factor: float, like: Tensor) -> Tensor:
    """Weights ``(new, old)`` of bilinear interpolation, with antialiasing when shrinking; the triangle filter of torch and Pillow."""
    old = _numbers(length, like).to(torch.float64)
    count = ((old[-1] + 1) * factor).round().clamp(min=1)
    scale = (old[-1] + 1) / count
    centers = (_numbers(count, like).to(torch.float64) + 0.5) * scale
    weights: Tensor = (1 - (old + 0.5 - centers[:, None]).abs() / scale.clamp(min=1)).clamp(min=0)
    return torch.div(weights, weights.sum(1, keepdim=True)).to(like.dtype)


def _averaging(length: Tensor | int, count: int, like: Tensor) -> Tensor:
    """Weights ``(count, old)``: each new cell is the mean of the old ones that it overlaps."""
    old = _numbers(length, like)
    cells, total = _numbers(count, like)[:, None], old[-1:] + 1
    inside = ((old + 1) * count > cells * total) & (old * count < (cells + 1) * total)
    weights = inside.to(like.dtype)
    return torch.div(weights, weights.sum(1, keepdim=True))


def _numbers(count: Any, like: Tensor) -> Tensor:
    """Return ``0 ... count - 1``; while a graph is traced, a length is a tensor, and stays free."""
    return torch.arange(count, device=like.device)
