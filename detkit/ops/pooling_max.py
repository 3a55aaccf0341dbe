"""Max pooling of regions into fixed grids: Fast R-CNN's RoI pooling and SPPNet's spatial pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import roi_pool


def roi_max_pool(maps: Sequence[Tensor], boxes: Sequence[Tensor], *, output_size: int, strides: Sequence[float], levels: Tensor) -> Tensor:
    """The maximum of each cell of a grid over each box (Fast R-CNN, arXiv:1504.08083, section 2.1), as its authors' code rounds.

    Args:
        maps: ``(B, C, H_l, W_l)``.
        boxes: ``(N_i, 4)`` in image pixels, one tensor an image.
        output_size: Cells a side of the grid.
        strides: Image pixels a map cell, one a map; any numbers.
        levels: ``(sum N_i,)`` the map that each box is pooled from, by its place.

    Returns:
        ``(sum N_i, C, output_size, output_size)`` in the maps' dtype, boxes in the order they came.
    """
    images = torch.cat([torch.full_like(rows[:, :1], place) for place, rows in enumerate(boxes)])
    # Their corners name the last pixel inside; ours the edge behind it.
    regions = torch.cat([images, torch.cat(list(boxes)) - torch.tensor([0.0, 0.0, 1.0, 1.0], device=images.device)], 1)
    pooled = maps[0].new_zeros((len(regions), maps[0].shape[1], output_size, output_size))
    for place, (level_map, stride) in enumerate(zip(maps, strides, strict=True)):
        rows = (levels == place).nonzero().flatten()
        if len(rows):
            part: Tensor = roi_pool(level_map.float(), regions[rows], output_size, 1 / stride)
            pooled = pooled.index_copy(0, rows, part.to(pooled.dtype))
    return pooled


def pyramid_of(cells: Tensor, bins: Sequence[int]) -> Tensor:
    """A spatial pyramid (SPPNet, arXiv:1406.4729, section 2.2) from its finest level: ``(N, C, S, S)`` to ``(N, C * sum(bins^2), 1, 1)``.

    A coarser level with ``b`` bins a side, where ``b`` divides ``S``, joins the cells of the finest: its bins, rounded outwards, cover
    the same map cells, so that one pass over the map serves all levels.

    Raises:
        ValueError: a level's bins do not divide the finest level's.
    """
    side = cells.shape[-1]
    if bins[0] != side or any(side % count for count in bins):
        raise ValueError(f"spatial pyramid: expected numbers of bins that divide the first, got {tuple(bins)} for {side} cells a side")
    levels = [functional.max_pool2d(cells, side // count).flatten(1) for count in bins]
    return torch.cat(levels, 1)[:, :, None, None]


def nearest_scales(boxes: Tensor, factors: Sequence[float], canonical_size: int = 224) -> Tensor:
    """``(N,)`` for each of ``(N, 4)`` boxes the place of the factor that brings its area nearest to that of a canonical box.

    Source: SPPNet (arXiv:1406.4729), section 4.1; Fast R-CNN, section 2.4, has the same rule.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    scaled = areas[:, None] * areas.new_tensor([factor * factor for factor in factors])
    return (scaled - canonical_size**2).abs().argmin(1)
