"""Region pooling: RoI align, RoI max pooling or a pyramid of maxima, from one image scale or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor

from detkit.heads.postprocess import PostprocessConfig
from detkit.ops.pooling import Regions, as_regions, box_levels, multilevel_roi_align
from detkit.ops.pooling_max import nearest_scales, roi_max_pool, spatial_pyramid

PoolingName = Literal["align", "max", "pyramid"]


class PooledRegionsConfig(PostprocessConfig):
    """Parameters of region pooling, in addition to those of postprocessing."""

    pooling: PoolingName = "align"
    """``align``: mean of samples between map cells (Mask R-CNN); ``max``: maximum of each cell (Fast R-CNN); ``pyramid``: maxima at several
    resolutions (SPPNet)."""
    pool_size: int = Field(7, ge=1)
    """Side of a pooled region in cells, for ``align`` and ``max``."""
    pyramid_bins: tuple[int, ...] = (6, 3, 2, 1)
    """Side in cells of each level of a ``pyramid``; the first must be a multiple of the others. The default is that of SPPNet for
    detection: 50 cells in all."""
    sampling_ratio: int = Field(2, ge=0)
    """Samples per cell and direction, for ``align``; 0: as many as the cell has map cells."""

    def pooled_shape(self, channels: int) -> tuple[int, int]:
        """Return the channels and the side of a pooled region, for feature maps with ``channels``."""
        return (
            (channels * sum(count * count for count in self.pyramid_bins), 1) if self.pooling == "pyramid" else (channels, self.pool_size)
        )


def pool_regions(
    maps: Sequence[Tensor],
    boxes: Regions,
    strides: tuple[float, ...],
    config: PooledRegionsConfig,
    *,
    factors: tuple[float, ...] = (),
    compiled: bool = True,
) -> Tensor:
    """Pool each box from the feature map that suits its size.

    Args:
        maps: ``(B, C, H_l, W_l)``.
        boxes: ``x1 y1 x2 y2`` in image pixels; see :data:`detkit.ops.pooling.Regions`.
        strides: Stride of each map in image pixels.
        config: How to pool.
        factors: Image scales of the maps, if they come from one network at several scales; each box is then pooled from the scale at which
            it is nearest to 224 x 224 pixels. Empty: the maps are the levels of a pyramid.
        compiled: Whether ``align`` may load compiled kernels; see :func:`detkit.ops.pooling.multilevel_roi_align`.

    Returns:
        ``(sum N_i, channels, side, side)``.
    """
    regions = as_regions(boxes)
    levels = nearest_scales(regions[:, 1:], factors) if factors else None
    if config.pooling == "align":
        return multilevel_roi_align(
            tuple(maps),
            regions,
            output_size=config.pool_size,
            sampling_ratio=config.sampling_ratio,
            strides=strides,
            compiled=compiled,
            levels=levels,
        )
    if levels is None:
        levels = box_levels(regions[:, 1:], strides)
    size = config.pyramid_bins[0] if config.pooling == "pyramid" else config.pool_size
    cells = roi_max_pool(maps, regions, output_size=size, strides=strides, levels=levels)
    return spatial_pyramid(cells, config.pyramid_bins) if config.pooling == "pyramid" else cells
