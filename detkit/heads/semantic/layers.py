"""Last layers of networks for semantic segmentation: logits of every class in every cell of a map."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from detkit.heads.float32 import Float32Conv2d


class PixelHead(nn.Module):
    """A 1x1 convolution, as at the end of U-Net.

    Args:
        in_channels: Channels of the map.
        num_outputs: Number of classes, with background if it is one.
    """

    def __init__(self, in_channels: int, num_outputs: int) -> None:
        super().__init__()
        self.logits = Float32Conv2d(in_channels, num_outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits ``(B, num_outputs, h, w)`` of a map ``(B, in_channels, h, w)``."""
        logits: Tensor = self.logits(features)
        return logits


class FCNHead(nn.Module):
    """Head of torchvision's ``fcn_resnet50``: a 3x3 convolution to a quarter of the channels, dropout, and a 1x1 convolution.

    Args:
        in_channels: Channels of the map.
        num_outputs: Number of classes, with background if it is one.
        dropout: Fraction of the values that are dropped in training.
    """

    def __init__(self, in_channels: int, num_outputs: int, dropout: float = 0.1) -> None:
        super().__init__()
        channels = in_channels // 4
        conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.features = nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(), nn.Dropout(dropout))
        self.logits = Float32Conv2d(channels, num_outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits ``(B, num_outputs, h, w)`` of a map ``(B, in_channels, h, w)``."""
        logits: Tensor = self.logits(self.features(features))
        return logits


class SkipHead(nn.Module):
    """Logits of several maps, added from the coarsest to the finest, as in FCN-8s (arXiv:1411.4038, section 4.2).

    Logits are interpolated bilinearly to the next finer map, which is how the paper's transposed convolutions begin. The logits of the
    finer maps begin at 0, as in the paper, so that training begins as that of the coarsest map alone.

    Args:
        channels: Channels of each map, finest first.
        num_outputs: Number of classes, with background if it is one.
        dropout: Fraction of the values of the coarsest map that are dropped in training.
    """

    def __init__(self, channels: Sequence[int], num_outputs: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.ModuleList(Float32Conv2d(count, num_outputs, 1) for count in channels)
        for value in self.logits[:-1].parameters():
            nn.init.zeros_(value)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the logits ``(B, num_outputs, h, w)`` at the stride of the finest of the maps."""
        logits: Tensor = self.logits[-1](self.dropout(maps[-1]))
        for layer, features in zip(reversed(self.logits[:-1]), reversed(maps[:-1]), strict=True):
            finer: Tensor = layer(features)
            logits = finer + functional.interpolate(logits, size=finer.shape[-2:], mode="bilinear", align_corners=False)
        return logits
