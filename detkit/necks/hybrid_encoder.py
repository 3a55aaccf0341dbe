"""RT-DETR's hybrid encoder (arXiv:2304.08069, section 4.2): self-attention within the coarsest map, convolutions across maps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers.cells import map_to_cells
from detkit.layers.positions import index_positions
from detkit.layers.rep_blocks import ConvNorm, CSPRepBlock, RepELANBlock, SeparableDownsample
from detkit.layers.transformer import EncoderLayer, LayerSizes
from detkit.necks.base import MapSource, Neck


class HybridEncoder(Neck):
    """Self-attention over the cells of some maps, then a top-down and a bottom-up path whose maps are joined.

    The parts have the names of the original repositories: ``input_proj``, ``encoder``, ``lateral_convs`` and ``fpn_blocks``, coarsest
    first, ``downsample_convs`` and ``pan_blocks``, finest first. Attention covers the whole map: images of a batch are expected at one
    size, to which RT-DETR stretches them. The padding of a batch of different sizes is not masked, and influences all cells.

    Args:
        backbone: Source of the maps, finest first; its strides are multiples of the preceding ones.
        sizes: Channels of every map, and the sizes of the attention layers.
        attention: For each map with self-attention its index, finest first; negative ones count from the coarsest.
        depth: Attention layers of each such map.
        fuse: Returns a block from the number of input channels of joined maps to the number of output channels.
        downsample: Returns a block that divides the size of a map with the given number of channels by the given stride.
        lateral_activation: Whether SiLU follows the 1x1 convolutions of the top-down path.
        add: Whether maps are joined by addition instead of concatenation (DEIMv2).

    Raises:
        ValueError: If the backbone has no map of such an index, or its strides are not multiples of the preceding ones.
    """

    def __init__(
        self,
        backbone: MapSource,
        sizes: LayerSizes,
        *,
        attention: Sequence[int],
        depth: int,
        fuse: Callable[[int, int], nn.Module],
        downsample: Callable[[int, int], nn.Module],
        lateral_activation: bool,
        add: bool = False,
    ) -> None:
        count, channels = len(backbone.channels), sizes.channels
        super().__init__(backbone, (channels,) * count, backbone.strides)
        self.attention_levels = _level_indices(attention, count)
        ratios = _stride_ratios(backbone.strides)
        self.add = add
        joined = channels if add else 2 * channels
        self.input_proj = nn.ModuleList(ConvNorm(source, channels, activation=False) for source in backbone.channels)
        self.encoder = nn.ModuleList(MapAttention(sizes, depth) for _ in self.attention_levels)
        self.lateral_convs = nn.ModuleList(ConvNorm(channels, channels, activation=lateral_activation) for _ in ratios)
        self.fpn_blocks = nn.ModuleList(fuse(joined, channels) for _ in ratios)
        self.downsample_convs = nn.ModuleList(downsample(channels, ratio) for ratio in ratios)
        self.pan_blocks = nn.ModuleList(fuse(joined, channels) for _ in ratios)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of normalized images ``(B, 3, H, W)``, finest first."""
        maps = [project(source) for project, source in zip(self.input_proj, self.backbone(images), strict=True)]
        for index, attend in zip(self.attention_levels, self.encoder, strict=True):
            maps[index] = attend(maps[index])
        current, laterals = maps[-1], []  # lateral outputs of the coarser levels, coarsest first
        for lateral, fuse, finer in zip(self.lateral_convs, self.fpn_blocks, maps[-2::-1], strict=True):
            laterals.append(lateral(current))
            # Upsample to the size of the finer map instead of by a factor of 2, which fails for odd sizes.
            larger = functional.interpolate(laterals[-1], size=finer.shape[-2:], mode="nearest")
            current = fuse(self._join(larger, finer))
        outputs = [current]
        for shrink, fuse, coarser in zip(self.downsample_convs, self.pan_blocks, reversed(laterals), strict=True):
            outputs.append(fuse(self._join(shrink(outputs[-1]), coarser)))
        return tuple(outputs)

    def _join(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second if self.add else torch.cat((first, second), 1)


class MapAttention(nn.Module):
    """Transformer encoder over the cells of one map ("attention-based intra-scale feature interaction", AIFI).

    Args:
        sizes: Sizes of the layers.
        depth: Number of layers; 0: the map stays as it is.
    """

    def __init__(self, sizes: LayerSizes, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(sizes) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` in and out, in its own dtype; sums run in float32 also under autocast, as in DETR's transformer."""
        count, channels, height, width = x.shape
        cells = map_to_cells(x).float()
        positions = index_positions((height, width), channels, device=x.device)
        for layer in self.layers:
            cells = layer(cells, positions)
        return cells.transpose(1, 2).reshape(count, channels, height, width).to(x.dtype)


def make_blocks(
    block: str, downsample: str, *, depth: int, expansion: float
) -> tuple[Callable[[int, int], nn.Module], Callable[[int, int], nn.Module]]:
    """Return the makers of the fusion and downsampling blocks by name; see :class:`detkit.necks.HybridEncoderConfig`."""
    kind = {"csp_rep": CSPRepBlock, "rep_elan": RepELANBlock}[block]

    def fuse(source: int, target: int) -> nn.Module:
        return kind(source, target, depth, expansion)

    def shrink(channels: int, stride: int) -> nn.Module:
        if downsample == "separable":
            return SeparableDownsample(channels, stride)
        return ConvNorm(channels, channels, 3, stride=stride)

    return fuse, shrink


def _level_indices(levels: Sequence[int], count: int) -> tuple[int, ...]:
    for level in levels:
        if not -count <= level < count:
            raise ValueError(
                f"neck hybrid_encoder: attention_levels: expected indices from {-count} to {count - 1} of the backbone's {count} maps, "
                f"got {level}; change model.neck.attention_levels or model.backbone.levels"
            )
    return tuple(dict.fromkeys(level % count for level in levels))


def _stride_ratios(strides: Sequence[int]) -> list[int]:
    """Each stride but the first, divided by the preceding one."""
    for fine, coarse in itertools.pairwise(strides):
        if coarse % fine:
            raise ValueError(f"neck hybrid_encoder: expected strides that are multiples of the preceding ones, got {tuple(strides)}")
    return [coarse // fine for fine, coarse in itertools.pairwise(strides)]
