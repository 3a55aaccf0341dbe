"""How regions are cut out of maps: by aligned samples, by maxima, or by a pyramid of maxima; at one scale or the best of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from detkit.heads.postprocess import PostprocessConfig
from detkit.ops.pooling import box_levels, multilevel_roi_align
from detkit.ops.pooling_max import nearest_scales, pyramid_of, roi_max_pool

PoolingName = Literal["align", "max", "pyramid"]


class PooledRegionsConfig(PostprocessConfig):
    """The numbers by which regions are pooled, beside those of the choice."""

    pooling: PoolingName = "align"
    """``align``: the mean of samples between map cells (Mask R-CNN); ``max``: the maximum of each cell (Fast R-CNN); ``pyramid``: maxima
    at several resolutions (SPPNet)."""
    pool_size: int = Field(7, ge=1)
    """Cells a side of a pooled region, for ``align`` and ``max``."""
    pyramid_bins: tuple[int, ...] = (6, 3, 2, 1)
    """Cells a side of each level of a ``pyramid``; the first is a multiple of the others. SPPNet has these 50 for detection."""
    sampling_ratio: int = Field(2, ge=0)
    """For ``align``: samples a cell and direction; 0 takes as many as the region has map cells."""

    def pooled_shape(self, channels: int) -> tuple[int, int]:
        """Channels and side of what comes of maps with ``channels``."""
        return (
            (channels * sum(count * count for count in self.pyramid_bins), 1) if self.pooling == "pyramid" else (channels, self.pool_size)
        )


def pool_regions(
    maps: Sequence[Tensor], boxes: list[Tensor], strides: tuple[float, ...], config: PooledRegionsConfig, factors: tuple[float, ...] = ()
) -> Tensor:
    """``(sum N_i, channels, side, side)`` pooled from the map that suits each box.

    Args:
        maps: ``(B, C, H_l, W_l)``.
        boxes: ``(N_i, 4)`` in image pixels, one tensor an image.
        strides: Image pixels a cell of each map.
        config: How.
        factors: If the maps are of one network at several scales of the image: the scales. A box is then pooled where it is nearest to
            224 x 224 pixels; else the maps are a pyramid's.
    """
    levels = nearest_scales(torch.cat(boxes), factors) if factors else None
    if config.pooling == "align":
        numbers = {"output_size": config.pool_size, "sampling_ratio": config.sampling_ratio}
        return multilevel_roi_align(tuple(maps), boxes, strides=strides, levels=levels, **numbers)  # type: ignore[arg-type]
    if levels is None:
        levels = box_levels(torch.cat(boxes), strides)
    size = config.pyramid_bins[0] if config.pooling == "pyramid" else config.pool_size
    cells = roi_max_pool(maps, boxes, output_size=size, strides=strides, levels=levels)
    return pyramid_of(cells, config.pyramid_bins) if config.pooling == "pyramid" else cells
