"""Path aggregation network (Liu et al., 2018) as in YOLOX: a top-down pyramid followed by a bottom-up one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers import ConvNormAct, CSPBlock, conv_block, set_batch_norms
from detkit.necks.base import MapSource, Neck


class PAN(Neck):
    """Path aggregation network; maps are joined by concatenation, not by addition.

    Args:
        backbone: Source of the maps, finest first.
        fuse: Returns a block from the number of input channels of joined maps to the number of output channels.
        shrink: Returns a block that halves the size of a map with the given number of channels.
        out_channels: Channels to which every map of the backbone is projected first; None: no projection.
        activation: Activation after the 1x1 convolutions.
        dropout: Fraction of the backbone's channels that are dropped in training, at random for each image and level.
    """

    def __init__(
        self,
        backbone: MapSource,
        fuse: Callable[[int, int], nn.Module],
        shrink: Callable[[int], nn.Module],
        *,
        out_channels: int | None = None,
        activation: type[nn.Module] = nn.SiLU,
        dropout: float = 0.0,
    ) -> None:
        count = len(backbone.channels)
        channels = backbone.channels if out_channels is None else (out_channels,) * count

        def project(source: int, target: int) -> nn.Module:
            return ConvNormAct(source, target, 1, norm="batch", activation=activation)

        super().__init__(backbone, channels, backbone.strides)
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()
        same = out_channels is None
        self.inputs = nn.ModuleList(nn.Identity() if same else project(c, w) for c, w in zip(backbone.channels, channels, strict=True))
        finer, coarser = channels[:-1], channels[1:]
        pairs = list(zip(finer, coarser, strict=True))
        self.laterals = nn.ModuleList(project(coarse, fine) if same else nn.Identity() for fine, coarse in pairs)
        self.down_blocks = nn.ModuleList(fuse(2 * fine, fine) for fine in finer)
        self.shrinks = nn.ModuleList(shrink(fine) for fine in finer)
        self.up_blocks = nn.ModuleList(fuse(2 * fine, coarse) for fine, coarse in pairs)
        for part in (self.inputs, self.laterals, self.down_blocks, self.shrinks, self.up_blocks):
            set_batch_norms(part)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of normalized images ``(B, 3, H, W)``, finest first."""
        maps = [project(self.dropout(source)) for project, source in zip(self.inputs, self.backbone(images), strict=True)]
        laterals: list[Tensor] = []  # lateral outputs of the coarser levels, finest first
        current = maps[-1]
        for level in range(len(maps) - 2, -1, -1):
            laterals.insert(0, self.laterals[level](current))
            # Upsample to the size of the finer map instead of by a factor of 2, which fails for odd sizes.
            larger = functional.interpolate(laterals[0], size=maps[level].shape[-2:], mode="nearest")
            current = self.down_blocks[level](torch.cat((larger, maps[level]), 1))
        outputs = [current]
        for shrink, lateral, fuse in zip(self.shrinks, laterals, self.up_blocks, strict=True):
            outputs.append(fuse(torch.cat((shrink(outputs[-1]), lateral), 1)))
        return tuple(outputs)


def yolox_pan(
    backbone: MapSource, depth: int, *, depthwise: bool, activation: type[nn.Module], out_channels: int | None, dropout: float
) -> PAN:
    """Build YOLOX's network: CSP blocks of ``depth`` bottlenecks without shortcuts (``yolo_pafpn.py``)."""

    def fuse(source: int, target: int) -> nn.Module:
        return CSPBlock(source, target, depth, shortcut=False, depthwise=depthwise, activation=activation)

    def shrink(channels: int) -> nn.Module:
        return conv_block(channels, channels, stride=2, depthwise=depthwise, activation=activation)

    return PAN(backbone, fuse, shrink, out_channels=out_channels, activation=activation, dropout=dropout)


def light_pan(backbone: MapSource, out_channels: int, *, kernel: int, activation: type[nn.Module], dropout: float) -> PAN:
    """Build a network for small devices.

    It has few channels, and depthwise convolutions with a large kernel, as PicoDet's (arXiv:2111.00902).
    """

    def fuse(source: int, target: int) -> nn.Module:
        project = ConvNormAct(source, target, 1, norm="batch", activation=activation)
        return nn.Sequential(project, conv_block(target, target, kernel, depthwise=True, activation=activation))

    def shrink(channels: int) -> nn.Module:
        return conv_block(channels, channels, kernel, stride=2, depthwise=True, activation=activation)

    return PAN(backbone, fuse, shrink, out_channels=out_channels, activation=activation, dropout=dropout)
