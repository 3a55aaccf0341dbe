"""Last layers of networks for semantic segmentation: logits of every class in every cell of a map."""

from __future__ import annotations

from torch import Tensor, nn

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
