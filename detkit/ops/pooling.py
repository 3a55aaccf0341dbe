"""Region pooling from one feature map or a pyramid of maps."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Sequence
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

Regions = Sequence[Tensor] | Tensor
"""Boxes of images: ``(N_i, 4)`` for each image, or ``(N, 5)`` for all, whose first column is the position of the image."""
_log = logging.getLogger(__name__)


class _Pooling(Protocol):
    def __call__(
        self,
        maps: tuple[Tensor, ...],
        regions: Tensor,
        rows: list[Tensor],
        *,
        cells: int,
        ratio: int,
        strides: tuple[float, ...],
        aligned: bool,
    ) -> Tensor: ...


def multilevel_roi_align(
    maps: tuple[Tensor, ...],
    boxes: Regions,
    *,
    output_size: int,
    sampling_ratio: int,
    strides: tuple[float, ...],
    canonical_size: int = 224,
    canonical_level: int = 4,
    aligned: bool = False,
    compiled: bool = True,
    levels: Tensor | None = None,
) -> Tensor:
    """Pool every box by RoI align from the map that suits its size (FPN, arXiv:1612.03144, equation 1).

    Args:
        maps: ``(B, C, H_l, W_l)`` maps, finest first.
        boxes: ``x1 y1 x2 y2`` in image pixels; see :data:`Regions`.
        output_size: Cells per side of the output.
        sampling_ratio: Samples per cell and direction; 0 adapts to the number of map cells that the box covers.
        strides: Image pixels per map cell of each map; powers of two if there are several maps.
        canonical_size: Side in pixels of a box that belongs to ``canonical_level``.
        canonical_level: Level of a box of the canonical size, as the base-2 logarithm of the level's stride.
        aligned: Shift samples by half a cell (detectron2's "v2"); torchvision's detectors do not.
        compiled: Use compiled kernels on a CPU where they support the maps; otherwise torchvision's operator. Loading the kernels takes
            half a second, and several seconds on a machine that has not compiled them yet.
        levels: ``(sum N_i,)`` index of the map to pool each box from; None: the one that suits its size.

    Returns:
        ``(sum N_i, C, output_size, output_size)`` in the maps' dtype, in the order of the boxes.

    Raises:
        ValueError: If the number of strides differs from the number of maps, or the number of box tensors from that of images.
    """
    _check(maps, boxes, strides)
    regions = as_regions(boxes)
    if levels is None:
        levels = box_levels(regions[:, 1:], strides, canonical_size, canonical_level)
    rows = [torch.where(levels == level)[0] for level in range(len(maps))]
    pool = _kernels() if compiled and _supports_kernels(maps) else _pool_by_torchvision
    return pool(maps, regions, rows, cells=output_size, ratio=sampling_ratio, strides=strides, aligned=aligned)


def as_regions(boxes: Regions) -> Tensor:
    """Return ``(N, 5)`` float32 boxes of all images, after the position of their image."""
    if isinstance(boxes, Tensor):
        return boxes
    # Whatever the boxes' dtype, in float32: halves would be off by pixels, and the operators take one dtype only.
    parts = [rows.float() for rows in boxes] or [torch.zeros((0, 4))]
    images = torch.cat([torch.full_like(rows[:, :1], i) for i, rows in enumerate(parts)])
    return torch.cat([images, torch.cat(parts)], 1)


def kernels_are_loaded() -> bool:
    """Whether this process has loaded the compiled kernels, so that using them costs no time."""
    return "detkit.accelerate.pooling_cpu" in sys.modules


def _supports_kernels(maps: tuple[Tensor, ...]) -> bool:
    """Whether the compiled kernels can pool from these maps here."""
    supported = all(type(level_map) is Tensor and level_map.device.type == "cpu" for level_map in maps)
    if not supported or any(level_map.dtype not in (torch.float32, torch.bfloat16) for level_map in maps):
        return False
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


@cache
def _kernels() -> _Pooling:
    try:
        from detkit.accelerate.pooling_cpu import pool_on_cpu
    except Exception as error:  # numba raises various exceptions when it cannot cache compiled code on disk
        _log.warning("numba is not usable (%s): falling back to torchvision's RoI align, which is slow on the CPU", error)
        return _pool_by_torchvision
    return pool_on_cpu


def _pool_by_torchvision(
    maps: tuple[Tensor, ...], regions: Tensor, rows: list[Tensor], *, cells: int, ratio: int, strides: tuple[float, ...], aligned: bool
) -> Tensor:
    """Pool level by level with torchvision's operator."""
    from torchvision.ops import roi_align  # not at the top: importing torchvision takes as long as importing torch

    if len(maps) == 1:
        return roi_align(maps[0].float(), regions, cells, 1 / strides[0], ratio, aligned).to(maps[0].dtype)  # type: ignore[no-any-return]
    pooled = maps[0].new_zeros((regions.shape[0], maps[0].shape[1], cells, cells))
    for level_map, level_rows, stride in zip(maps, rows, strides, strict=True):
        # In float32 whatever the maps' dtype: box corners in half precision would be off by pixels.
        part = roi_align(level_map.float(), regions[level_rows], cells, 1 / stride, ratio, aligned)
        pooled[level_rows] = part.to(pooled.dtype)
    return pooled


def box_levels(boxes: Tensor, strides: tuple[float, ...], canonical_size: int = 224, canonical_level: int = 4) -> Tensor:
    """``(N,)`` int64 index of the map to pool each of ``(N, 4)`` boxes from; equal to torchvision's ``LevelMapper``."""
    if len(strides) == 1:
        return torch.zeros_like(boxes[:, 0], dtype=torch.int64)
    finest, coarsest = int(math.log2(strides[0])), int(math.log2(strides[-1]))
    side = torch.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    # As in torchvision, 1e-6 keeps a box of exactly the canonical size on its level.
    level = torch.floor(canonical_level + torch.log2(side / canonical_size) + 1e-6)
    return level.clamp(finest, coarsest).to(torch.int64) - finest


def _check(maps: tuple[Tensor, ...], boxes: Regions, strides: tuple[float, ...]) -> None:
    if len(maps) != len(strides):
        raise ValueError(f"multilevel_roi_align: expected one stride per map, got {len(strides)} strides for {len(maps)} maps")
    if not isinstance(boxes, Tensor) and len(boxes) != len(maps[0]):
        raise ValueError(f"multilevel_roi_align: expected one tensor of boxes per image, got {len(boxes)} for {len(maps[0])} images")
