"""Networks over pooled regions: what turns ``(N, C, S, S)`` into class logits and box deltas."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.config import Config
from detkit.heads.float32 import Float32Linear
from detkit.layers import ConvNormAct, NormName


class TwoFCConfig(Config):
    """Two fully connected layers (Fast R-CNN on an FPN)."""

    kind: Literal["two_fc"] = "two_fc"
    """Which region head this is."""
    hidden: int = Field(1024, ge=1)
    """Outputs of each layer."""

    def build(self, channels: int, side: int) -> TwoFC:
        """The module, for regions of ``(channels, side, side)``."""
        return TwoFC(channels * side * side, self.hidden)


class ConvFCConfig(Config):
    """Convolutions with a norm and one fully connected layer (torchvision's ``fasterrcnn_resnet50_fpn_v2``)."""

    kind: Literal["conv_fc"] = "conv_fc"
    """Which region head this is."""
    convs: int = Field(4, ge=1)
    """3x3 convolutions."""
    width: int = Field(256, ge=1)
    """Channels of each."""
    hidden: int = Field(1024, ge=1)
    """Outputs of the fully connected layer."""
    norm: Literal["batch", "frozen", "group"] | None = "batch"
    """The norm after each convolution."""

    def build(self, channels: int, side: int) -> ConvFC:
        """The module, for regions of ``(channels, side, side)``."""
        return ConvFC(channels, side, convs=self.convs, width=self.width, hidden=self.hidden, norm=self.norm)


RegionHeadConfig = Annotated[TwoFCConfig | ConvFCConfig, Field(discriminator="kind")]


class TwoFC(nn.Module):
    """Two fully connected layers, named after VGG's.

    Args:
        in_features: Numbers a pooled region has.
        hidden: Outputs of each layer.
    """

    def __init__(self, in_features: int, hidden: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_features, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.out_features = hidden

    def forward(self, regions: Tensor) -> Tensor:
        """``(N, C, S, S)`` to ``(N, hidden)``."""
        return functional.relu(self.fc7(functional.relu(self.fc6(regions.flatten(1)))))


class ConvFC(nn.Module):
    """Convolutions, then one fully connected layer.

    Args:
        channels: Channels of a pooled region.
        side: Cells a side of it.
        convs: 3x3 convolutions.
        width: Channels of each.
        hidden: Outputs of the fully connected layer.
        norm: The norm after each convolution.
    """

    def __init__(self, channels: int, side: int, *, convs: int, width: int, hidden: int, norm: NormName | None) -> None:
        super().__init__()
        inputs = [channels] + [width] * (convs - 1)
        self.convs = nn.Sequential(*(ConvNormAct(count, width, norm=norm) for count in inputs))
        self.fc = nn.Linear(width * side * side, hidden)
        self.out_features = hidden
        for layer in self.convs.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, regions: Tensor) -> Tensor:
        """``(N, C, S, S)`` to ``(N, hidden)``."""
        return functional.relu(self.fc(self.convs(regions).flatten(1)))


class RegionPredictor(nn.Module):
    """Class logits with background at index K, and a box for every class.

    Args:
        in_features: Numbers a region has.
        num_classes: K.
    """

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.logits = Float32Linear(in_features, num_classes + 1)
        self.deltas = Float32Linear(in_features, num_classes * 4)

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, K + 1)`` logits and ``(N, K, 4)`` deltas, float32."""
        return self.logits(regions), self.deltas(regions).unflatten(1, (-1, 4))
