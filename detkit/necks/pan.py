"""The path aggregation network (Liu et al., 2018) as YOLOX has it: down the pyramid, and up again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers import ConvNormAct, CSPBlock, conv_block, yolox_norms
from detkit.necks.wrapped import MapSource, Neck


class PAN(Neck):
    """A pyramid whose levels see the coarser ones and then the finer ones; maps are joined channel by channel, not added.

    Args:
        backbone: Gives the maps, finest first.
        fuse: Makes the block that turns joined maps of so many channels into one of so many.
        shrink: Makes the block that halves a map of so many channels.
        out_channels: Every map is brought to so many channels first; None: each has as many as the backbone's.
        activation: Behind the 1x1 convolutions.
        dropout: Share of the backbone's channels that a training step leaves out, drawn for each image and level.
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

        def project(source: int, wanted: int) -> nn.Module:
            return ConvNormAct(source, wanted, 1, norm="batch", activation=activation)

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
            yolox_norms(part)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps of normalized images ``(B, 3, H, W)``, finest first."""
        maps = [project(self.dropout(found)) for project, found in zip(self.inputs, self.backbone(images), strict=True)]
        held: list[Tensor] = []  # what each coarser level gave to the finer one, finest first
        current = maps[-1]
        for place in range(len(maps) - 2, -1, -1):
            held.insert(0, self.laterals[place](current))
            # To the finer map's size, not by 2: maps of odd sizes do not double.
            larger = functional.interpolate(held[0], size=maps[place].shape[-2:], mode="nearest")
            current = self.down_blocks[place](torch.cat((larger, maps[place]), 1))
        found = [current]
        for shrink, lateral, fuse in zip(self.shrinks, held, self.up_blocks, strict=True):
            found.append(fuse(torch.cat((shrink(found[-1]), lateral), 1)))
        return tuple(found)


def yolox_pan(
    backbone: MapSource, depth: int, *, depthwise: bool, activation: type[nn.Module], out_channels: int | None, dropout: float
) -> PAN:
    """YOLOX's: CSP blocks of ``depth`` bottlenecks without a path round them (``yolo_pafpn.py``)."""

    def fuse(source: int, wanted: int) -> nn.Module:
        return CSPBlock(source, wanted, depth, shortcut=False, depthwise=depthwise, activation=activation)

    def shrink(channels: int) -> nn.Module:
        return conv_block(channels, channels, stride=2, depthwise=depthwise, activation=activation)

    return PAN(backbone, fuse, shrink, out_channels=out_channels, activation=activation, dropout=dropout)


def light_pan(backbone: MapSource, out_channels: int, *, kernel: int, activation: type[nn.Module], dropout: float) -> PAN:
    """One for small machines: few channels, and depthwise convolutions with a large kernel, as PicoDet's (arXiv:2111.00902)."""

    def fuse(source: int, wanted: int) -> nn.Module:
        project = ConvNormAct(source, wanted, 1, norm="batch", activation=activation)
        return nn.Sequential(project, conv_block(wanted, wanted, kernel, depthwise=True, activation=activation))

    def shrink(channels: int) -> nn.Module:
        return conv_block(channels, channels, kernel, stride=2, depthwise=True, activation=activation)

    return PAN(backbone, fuse, shrink, out_channels=out_channels, activation=activation, dropout=dropout)
