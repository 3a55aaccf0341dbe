"""SSD's neck: the maps of a backbone, and coarser ones computed from the last (arXiv:1512.02325)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers import ConvNormAct, set_batch_norms
from detkit.necks.base import MapSource, Neck
from detkit.structures import Size


@dataclass(frozen=True)
class ExtraLevel:
    """A level coarser than the one before it; see :class:`detkit.necks.ExtraLevelConfig`."""

    channels: int
    kernel: int
    stride: int
    padding: int


class SSDExtras(Neck):
    """Feature maps for SSD's head; levels may differ in channels.

    Args:
        backbone: Source of the finer maps, finest first.
        extras: The levels after the backbone's last map.
        rescale: Initial scale of the L2 normalization of the first map; None: no normalization.
        atrous_channels: Channels of the convolutions that replace VGG's fully connected layers; None: no such convolutions.
        lite: Whether to use depthwise separable convolutions, as SSDLite.
    """

    def __init__(
        self, backbone: MapSource, extras: tuple[ExtraLevel, ...], *, rescale: float | None, atrous_channels: int | None, lite: bool
    ) -> None:
        channels, strides = list(backbone.channels), list(backbone.strides)
        if atrous_channels is not None:
            channels[-1] = atrous_channels
        for extra in extras:
            channels.append(extra.channels)
            strides.append(strides[-1] * extra.stride)
        super().__init__(backbone, tuple(channels), tuple(strides))
        self.extra_levels, self.backbone_stride = extras, backbone.strides[-1]
        self.rescale = None if rescale is None else Rescale(channels[0], rescale)
        self.atrous = None if atrous_channels is None else _atrous(backbone.channels[-1], atrous_channels)
        finer = len(backbone.channels) - 1
        make = _separable if lite else _plain
        self.extras = nn.ModuleList(make(channels[finer + index], extra) for index, extra in enumerate(extras))
        _initialize(self, lite)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of normalized images ``(B, 3, H, W)``, finest first."""
        maps: tuple[Tensor, ...] = self.backbone(images)
        *finer, last = maps
        coarser = [last if self.atrous is None else self.atrous(last)]
        for extra in self.extras:
            coarser.append(extra(coarser[-1]))
        levels = [*finer, *coarser]
        if self.rescale is not None:
            levels[0] = self.rescale(levels[0])
        return tuple(levels)

    def check_size(self, size: Size) -> None:
        """Check that images of ``size`` are large enough for every level.

        Raises:
            ValueError: If a level would have no cells.
        """
        sides = [-(-side // self.backbone_stride) for side in size]
        for index, extra in enumerate(self.extra_levels):
            new = [(side + 2 * extra.padding - extra.kernel) // extra.stride + 1 for side in sides]
            if min(new) < 1:
                raise ValueError(
                    f"neck ssd_extras: images of {size[0]} x {size[1]} (height x width) leave {sides[0]} x {sides[1]} cells before extra "
                    f"level {index}, too few for its kernel of {extra.kernel}; set fewer neck.extras or a larger preprocess.input_size"
                )
            sides = new


class Rescale(nn.Module):
    """L2 normalization of each cell over the channels, times a learned factor per channel (ParseNet, arXiv:1506.04579).

    Args:
        channels: Channels of the map.
        start: Initial value of every factor.
    """

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), start))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized map ``(B, C, H, W)`` in its own dtype; L2 norms are computed in float32."""
        return (self.weight.reshape(-1, 1, 1) * functional.normalize(x.float())).to(x.dtype)


def _atrous(in_channels: int, channels: int) -> nn.Sequential:
    """Build SSD's version of VGG's last pooling, fc6 and fc7: stride-1 pooling, a dilated convolution, a 1x1 convolution."""
    return nn.Sequential(
        nn.MaxPool2d(3, 1, 1),
        nn.Conv2d(in_channels, channels, 3, padding=6, dilation=6),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1),
        nn.ReLU(inplace=True),
    )


def _plain(in_channels: int, extra: ExtraLevel) -> nn.Sequential:
    half = extra.channels // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, half, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, extra.channels, extra.kernel, extra.stride, extra.padding),
        nn.ReLU(inplace=True),
    )


def _separable(in_channels: int, extra: ExtraLevel) -> nn.Sequential:
    half = extra.channels // 2
    depthwise = ConvNormAct(half, half, extra.kernel, stride=extra.stride, groups=half, norm="batch", activation=nn.ReLU6)
    convolution = depthwise.get_submodule("0")
    if isinstance(convolution, nn.Conv2d):
        convolution.padding = (extra.padding, extra.padding)
    first = ConvNormAct(in_channels, half, 1, norm="batch", activation=nn.ReLU6)
    layers = nn.Sequential(first, depthwise, ConvNormAct(half, extra.channels, 1, norm="batch", activation=nn.ReLU6))
    set_batch_norms(layers)
    return layers


def _initialize(neck: SSDExtras, lite: bool) -> None:
    """Initialize the added convolutions as in torchvision: Xavier uniform, or normal with std 0.03 for SSDLite; biases 0."""
    for part in (*neck.extras.modules(), *(neck.atrous or nn.Sequential()).modules()):
        if isinstance(part, nn.Conv2d):
            if lite:
                nn.init.normal_(part.weight, std=0.03)
            else:
                nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
