"""Max pooling of regions to fixed grids: Fast R-CNN's RoI pooling and SPPNet's spatial pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from detkit.ops.pooling import Regions, as_regions


def roi_max_pool(maps: Sequence[Tensor], boxes: Regions, *, output_size: int, strides: Sequence[float], levels: Tensor) -> Tensor:
    """Max-pool each box to a grid (Fast R-CNN, arXiv:1504.08083, section 2.1), with the rounding of the authors' code.

    Args:
        maps: ``(B, C, H_l, W_l)`` maps.
        boxes: ``x1 y1 x2 y2`` in image pixels; see :data:`detkit.ops.pooling.Regions`.
        output_size: Cells per side of the grid.
        strides: Image pixels per map cell, one per map; any numbers.
        levels: ``(sum N_i,)`` index of the map to pool each box from.

    Returns:
        ``(sum N_i, C, output_size, output_size)`` in the maps' dtype, in the order of the boxes.
    """
    from torchvision.ops import roi_pool  # not at the top: importing torchvision takes as long as importing torch

    regions = as_regions(boxes)
    # The operator expects the last pixel inside as a corner; detkit's boxes have the edge after it.
    regions = regions - torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0], device=regions.device)
    if len(maps) == 1:
        return roi_pool(maps[0].float(), regions, output_size, 1 / strides[0]).to(maps[0].dtype)  # type: ignore[no-any-return]
    pooled = maps[0].new_zeros((regions.shape[0], maps[0].shape[1], output_size, output_size))
    for level, (level_map, stride) in enumerate(zip(maps, strides, strict=True)):
        rows = (levels == level).nonzero().flatten()
        level_pooled: Tensor = roi_pool(level_map.float(), regions[rows], output_size, 1 / stride)
        pooled = pooled.index_copy(0, rows, level_pooled.to(pooled.dtype))
    return pooled


def spatial_pyramid(cells: Tensor, bins: Sequence[int]) -> Tensor:
    """Build a spatial pyramid from its finest level: ``(N, C, S, S)`` to ``(N, C * sum(bins^2), 1, 1)``.

    A coarser level with ``b`` bins per side, where ``b`` divides ``S``, is the maximum over cells of the finest level. As bins are
    rounded outward, they cover the same map cells as if pooled directly, so one pass over the map is enough for all levels.
    Source: SPPNet (arXiv:1406.4729), section 2.2.

    Raises:
        ValueError: If the bins of a level do not divide those of the finest level.
    """
    side = cells.shape[-1]
    if bins[0] != side or any(side % count for count in bins):
        raise ValueError(f"spatial pyramid: expected numbers of bins that divide the first, got {tuple(bins)} for {side} cells per side")
    levels = [functional.max_pool2d(cells, side // count).flatten(1) for count in bins]
    return torch.cat(levels, 1)[:, :, None, None]


def nearest_scales(boxes: Tensor, factors: Sequence[float], canonical_size: int = 224) -> Tensor:
    """``(N,)`` index of the factor that brings the area of each of ``(N, 4)`` boxes nearest to that of a canonical box.

    Source: SPPNet (arXiv:1406.4729), section 4.1; Fast R-CNN, section 2.4, has the same rule.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    scaled = areas[:, None] * areas.new_tensor([factor * factor for factor in factors])
    return (scaled - canonical_size**2).abs().argmin(1)
