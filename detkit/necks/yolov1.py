"""YOLOv1's convolutions after a backbone (arXiv:1506.02640, section 2.2)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from detkit.layers import ConvNormAct, Leaky
from detkit.necks.base import MapSource, Neck


class YOLOv1Neck(Neck):
    """Convolutions over the last map of a backbone, at half its size.

    Args:
        backbone: Source of the map.
        channels: Of each 3x3 convolution.
        downsample: Whether the second convolution halves the map, or pooling before the first one.
        norm: After each convolution.
    """

    def __init__(
        self,
        backbone: MapSource,
        channels: tuple[int, ...],
        downsample: Literal["convolution", "pooling"],
        norm: Literal["batch"] | None,
    ) -> None:
        super().__init__(backbone, (channels[-1],), (backbone.strides[-1] * 2,))
        pools = downsample == "pooling"
        strided = -1 if pools else min(1, len(channels) - 1)
        parts: list[nn.Module] = [nn.MaxPool2d(2, ceil_mode=True)] if pools else []
        inputs = (backbone.channels[-1], *channels[:-1])
        for index, (in_channels, out_channels) in enumerate(zip(inputs, channels, strict=True)):
            stride = 2 if index == strided else 1
            parts.append(ConvNormAct(in_channels, out_channels, stride=stride, norm=norm, activation=Leaky))
            nn.init.kaiming_normal_(parts[-1].get_parameter("0.weight"), a=0.1, mode="fan_out")
        self.convolutions = nn.Sequential(*parts)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of normalized images ``(B, 3, H, W)`` as a tuple of one."""
        return (self.convolutions(self.backbone(images)[-1]),)
