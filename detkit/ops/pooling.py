"""Pooling of regions from one map or a pyramid of maps."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable
from functools import cache
from itertools import count

import torch
from torch import Tensor
from torchvision.ops import roi_align

Options = tuple[int, int, tuple[float, ...], bool]
"""Cells a side, samples a cell (0 adapts), a stride for every map, and whether samples are shifted by half a cell."""

Pooling = Callable[[tuple[Tensor, ...], Tensor, list[Tensor], Options], Tensor]

_log = logging.getLogger(__name__)
_calls_without_kernels = count()


def multilevel_roi_align(
    maps: tuple[Tensor, ...],
    boxes: list[Tensor],
    *,
    output_size: int,
    sampling_ratio: int,
    strides: tuple[float, ...],
    canonical_size: int = 224,
    canonical_level: int = 4,
    aligned: bool = False,
    reference: bool = False,
    levels: Tensor | None = None,
) -> Tensor:
    """Pool every box from the map that suits its size (FPN, arXiv:1612.03144, equation 1), by RoI align.

    Args:
        maps: ``(B, C, H_l, W_l)`` maps, finest first.
        boxes: ``(N_i, 4)`` ``x1 y1 x2 y2`` in image pixels, one tensor an image.
        output_size: Cells a side of what is pooled.
        sampling_ratio: Samples a cell and direction; 0 takes as many as the box has map cells.
        strides: Image pixels a map cell; powers of two where there are several maps.
        canonical_size: Side in pixels of a box that belongs to ``canonical_level``.
        canonical_level: The level, as the logarithm of its stride, of a box of the canonical size.
        aligned: Shift samples by half a cell (detectron2's "v2"); torchvision's detectors do not.
        reference: Use torchvision's own operator on every device.
        levels: ``(sum N_i,)`` the map that each box is pooled from, by its place; None: the one that suits its size.

    Returns:
        ``(sum N_i, C, output_size, output_size)`` in the maps' dtype, boxes in the order they came.

    Raises:
        ValueError: as many strides as maps, or as many tensors of boxes as images, are not given.
    """
    _check(maps, boxes, strides)
    images = torch.cat([torch.full_like(rows[:, :1], i) for i, rows in enumerate(boxes)])
    regions = torch.cat([images, torch.cat(boxes)], 1)
    if levels is None:
        levels = box_levels(regions[:, 1:], strides, canonical_size, canonical_level)
    rows = [torch.where(levels == level)[0] for level in range(len(maps))]
    pool = _plain if reference or not _kernels_serve(maps) else _kernels()
    return pool(maps, regions, rows, (output_size, sampling_ratio, strides, aligned))


def _kernels_serve(maps: tuple[Tensor, ...]) -> bool:
    """Whether compiled kernels may be used, and are worth their loading.

    Loading them takes half a second, and seconds on a machine that never compiled them, so that the first image a process
    looks at, often its only one, goes through torchvision's operator. Training loads them at once: it is resumed exactly.
    """
    fit = all(type(level_map) is Tensor and level_map.device.type == "cpu" for level_map in maps)
    if not fit or any(level_map.dtype not in (torch.float32, torch.bfloat16) for level_map in maps):
        return False
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return False
    learns = torch.is_grad_enabled() and any(level_map.requires_grad for level_map in maps)
    loaded = "detkit.ops.pooling_cpu" in sys.modules
    return loaded or learns or next(_calls_without_kernels) > 0


@cache
def _kernels() -> Pooling:
    try:
        from detkit.ops.pooling_cpu import pool_on_cpu
    except Exception as error:  # numba raises several kinds where it cannot keep compiled code on disk
        _log.warning("RoI align falls back to torchvision's, which is slow on the CPU: numba cannot be used (%s)", error)
        return _plain
    return pool_on_cpu


def _plain(maps: tuple[Tensor, ...], regions: Tensor, rows: list[Tensor], options: Options) -> Tensor:
    """Through torchvision's operator, level by level."""
    output_size, ratio, strides, aligned = options
    pooled = maps[0].new_zeros((len(regions), maps[0].shape[1], output_size, output_size))
    for level_map, level_rows, stride in zip(maps, rows, strides, strict=True):
        # In float32 whatever the maps are: half-precision box corners would be off by pixels.
        part = roi_align(level_map.float(), regions[level_rows], output_size, 1 / stride, ratio, aligned)
        pooled[level_rows] = part.to(pooled.dtype)
    return pooled


def box_levels(boxes: Tensor, strides: tuple[float, ...], canonical_size: int = 224, canonical_level: int = 4) -> Tensor:
    """``(N,)`` int64: the index of the map each of ``(N, 4)`` boxes is pooled from; equal to torchvision's ``LevelMapper``."""
    if len(strides) == 1:
        return torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    finest, coarsest = int(math.log2(strides[0])), int(math.log2(strides[-1]))
    side = torch.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    # 1e-6 keeps a box of exactly the canonical size on its level, as torchvision has it.
    level = torch.floor(canonical_level + torch.log2(side / canonical_size) + 1e-6)
    return level.clamp(finest, coarsest).to(torch.int64) - finest


def _check(maps: tuple[Tensor, ...], boxes: list[Tensor], strides: tuple[float, ...]) -> None:
    if len(maps) != len(strides):
        raise ValueError(f"multilevel_roi_align: expected one stride a map, got {len(strides)} strides for {len(maps)} maps")
    if len(boxes) != len(maps[0]):
        raise ValueError(f"multilevel_roi_align: expected one tensor of boxes an image, got {len(boxes)} for {len(maps[0])} images")
