"""Building blocks of RT-DETR's hybrid encoder (arXiv:2304.08069) and of D-FINE's (arXiv:2410.13842); every norm is a batch norm.

The parts have the names of the original repositories (``hybrid_encoder.py`` of both), so that published weights load by name.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from detkit.accelerate.fold import sum_convolutions


class ConvNorm(nn.Sequential):
    """Convolution that keeps the map's size (divided by ``stride``), batch norm and SiLU: ``conv``, ``norm`` and ``activation``.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Kernel size, odd.
        stride: Stride of the convolution.
        groups: Channel groups; ``in_channels`` makes the convolution depthwise.
        activation: Whether SiLU follows the norm.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, activation: bool = True
    ) -> None:
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        parts: OrderedDict[str, nn.Module] = OrderedDict(conv=conv, norm=nn.BatchNorm2d(out_channels))
        if activation:
            parts["activation"] = nn.SiLU()
        super().__init__(parts)


class RepVGGBlock(nn.Module):
    """SiLU of the sum of a 3x3 and a 1x1 convolution, which become one 3x3 convolution for inference (RepVGG, arXiv:2101.03697).

    Args:
        channels: Channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, 3, activation=False)
        self.conv2 = ConvNorm(channels, channels, 1, activation=False)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` in and out."""
        out: Tensor = self.activation(self.conv1(x) + self.conv2(x))
        return out

    def merge_branches(self) -> nn.Module:
        """Return the equal convolution and activation, or the block itself if its norms are not folded into its convolutions."""
        (large, large_norm), (small, small_norm) = self.conv1.children(), self.conv2.children()
        folded = isinstance(large_norm, nn.Identity) and isinstance(small_norm, nn.Identity)
        if not (folded and isinstance(large, nn.Conv2d) and isinstance(small, nn.Conv2d)):
            return self
        return nn.Sequential(OrderedDict(conv=sum_convolutions(large, small), activation=self.activation)).eval()


class CSPRepBlock(nn.Module):
    """RT-DETR's fusion block: RepVGG blocks after a 1x1 convolution, added to another 1x1 convolution (section 4.2, figure 4).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        depth: Number of RepVGG blocks.
        expansion: Channels of the RepVGG blocks relative to the output's.
    """

    def __init__(self, in_channels: int, out_channels: int, depth: int, expansion: float = 1.0) -> None:
        super().__init__()
        hidden = int(out_channels * expansion)
        self.conv1 = ConvNorm(in_channels, hidden)
        self.conv2 = ConvNorm(in_channels, hidden)
        self.bottlenecks = nn.Sequential(*(RepVGGBlock(hidden) for _ in range(depth)))
        self.conv3 = nn.Identity() if hidden == out_channels else ConvNorm(hidden, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C', H, W)``."""
        out: Tensor = self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))
        return out


class RepELANBlock(nn.Module):
    """D-FINE's fusion block, GELAN of YOLOv9 (arXiv:2402.13616) with RepVGG blocks (arXiv:2410.13842, section 5.1).

    Half of the channels of a 1x1 convolution passes two further blocks in a row; the outputs of all are concatenated and projected.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        depth: RepVGG blocks in each of the two further blocks.
        expansion: Channels of each further block relative to half the output's.
    """

    def __init__(self, in_channels: int, out_channels: int, depth: int, expansion: float = 1.0) -> None:
        super().__init__()
        hidden = round(expansion * out_channels // 2)  # rounded as in the original code, which decides the sizes of published weights
        self.cv1 = ConvNorm(in_channels, 2 * out_channels)
        self.cv2 = nn.Sequential(CSPRepBlock(out_channels, hidden, depth), ConvNorm(hidden, hidden, 3))
        self.cv3 = nn.Sequential(CSPRepBlock(hidden, hidden, depth), ConvNorm(hidden, hidden, 3))
        self.cv4 = ConvNorm(2 * (out_channels + hidden), out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C', H, W)``."""
        projected = self.cv1(x)
        first = self.cv2(projected.chunk(2, 1)[1])
        out: Tensor = self.cv4(torch.cat((projected, first, self.cv3(first)), 1))
        return out


class SeparableDownsample(nn.Module):
    """D-FINE's downsampling, YOLOv10's SCDown (arXiv:2405.14458): a 1x1 and a strided depthwise 3x3 convolution, without activations.

    Args:
        channels: Channels of input and output.
        stride: Stride of the second convolution.
    """

    def __init__(self, channels: int, stride: int = 2) -> None:
        super().__init__()
        self.cv1 = ConvNorm(channels, channels, activation=False)
        self.cv2 = ConvNorm(channels, channels, 3, stride=stride, groups=channels, activation=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C, ceil(H / stride), ceil(W / stride))``."""
        out: Tensor = self.cv2(self.cv1(x))
        return out
