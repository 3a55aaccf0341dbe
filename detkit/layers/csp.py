"""Building blocks of YOLOX (arXiv:2107.08430), after ``network_blocks.py`` of its code."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers.blocks import ConvNormAct


def conv_block(
    in_channels: int, out_channels: int, kernel: int = 3, *, stride: int = 1, depthwise: bool = False, activation: type[nn.Module] = nn.SiLU
) -> nn.Sequential:
    """A convolution, or a depthwise one followed by a 1x1; each followed by a batch norm and an activation."""
    if not depthwise:
        return ConvNormAct(in_channels, out_channels, kernel, stride=stride, norm="batch", activation=activation)
    return nn.Sequential(
        ConvNormAct(in_channels, in_channels, kernel, stride=stride, groups=in_channels, norm="batch", activation=activation),
        ConvNormAct(in_channels, out_channels, 1, norm="batch", activation=activation),
    )


class Bottleneck(nn.Module):
    """A 1x1 and a 3x3 convolution with the same number of channels, with or without a residual connection."""

    def __init__(self, channels: int, *, shortcut: bool, depthwise: bool, activation: type[nn.Module]) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(channels, channels, 1, norm="batch", activation=activation)
        self.conv2 = conv_block(channels, channels, depthwise=depthwise, activation=activation)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` in and out."""
        y: Tensor = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class CSPBlock(nn.Module):
    """Cross-stage partial block (arXiv:1911.11929): half of the channels goes through ``depth`` bottlenecks, half bypasses them.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        depth: Number of bottlenecks.
        shortcut: Whether each bottleneck has a residual connection.
        depthwise: Whether the 3x3 convolutions are depthwise, followed by a 1x1.
        activation: Activation after every norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        depth: int = 1,
        *,
        shortcut: bool = True,
        depthwise: bool = False,
        activation: type[nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.conv1 = ConvNormAct(in_channels, hidden, 1, norm="batch", activation=activation)
        self.conv2 = ConvNormAct(in_channels, hidden, 1, norm="batch", activation=activation)
        self.m = nn.Sequential(*(Bottleneck(hidden, shortcut=shortcut, depthwise=depthwise, activation=activation) for _ in range(depth)))
        self.conv3 = ConvNormAct(2 * hidden, out_channels, 1, norm="batch", activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C', H, W)``."""
        main, bypass = self.conv1(x), self.conv2(x)
        out: Tensor = self.conv3(torch.cat((self.m(main), bypass), 1))
        return out


class SpatialPyramidPooling(nn.Module):
    """Concatenation of a map with its max pooling over 5, 9 and 13 cells.

    Each pooling is applied to the next smaller one, which gives the same result.
    """

    def __init__(self, channels: int, activation: type[nn.Module] = nn.SiLU) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(channels, channels // 2, 1, norm="batch", activation=activation)
        self.conv2 = ConvNormAct(4 * (channels // 2), channels, 1, norm="batch", activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` in and out."""
        maps = [self.conv1(x)]
        for _ in range(3):
            maps.append(functional.max_pool2d(maps[-1], 5, stride=1, padding=2))
        out: Tensor = self.conv2(torch.cat(maps, 1))
        return out
