"""Region heads: networks that turn pooled regions ``(N, C, S, S)`` into class logits and box deltas."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.config import Config
from detkit.heads.float32 import Float32Linear
from detkit.heads.text_classes import TextClassesConfig, TextLogits
from detkit.layers import ConvNormAct, FrozenBatchNorm, NormName


class TwoFCConfig(Config):
    """Two fully connected layers (Fast R-CNN on an FPN)."""

    kind: Literal["two_fc"] = "two_fc"
    """Kind of region head."""
    hidden: int = Field(1024, ge=1)
    """Output features of each layer."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout probability after each layer; VGG16 and AlexNet have 0.5."""

    def build(self, channels: int, side: int) -> TwoFC:
        """Build the head for regions of ``(channels, side, side)``."""
        return TwoFC(channels * side * side, self.hidden, self.dropout)


class ConvFCConfig(Config):
    """Convolutions with a norm, then one fully connected layer (torchvision's ``fasterrcnn_resnet50_fpn_v2``)."""

    kind: Literal["conv_fc"] = "conv_fc"
    """Kind of region head."""
    convs: int = Field(4, ge=1)
    """Number of 3x3 convolutions."""
    width: int = Field(256, ge=1)
    """Channels of each convolution."""
    hidden: int = Field(1024, ge=1)
    """Output features of the fully connected layer."""
    norm: Literal["batch", "frozen", "group"] | None = "batch"
    """Norm after each convolution."""

    def build(self, channels: int, side: int) -> ConvFC:
        """Build the head for regions of ``(channels, side, side)``."""
        return ConvFC(channels, side, convs=self.convs, width=self.width, hidden=self.hidden, norm=self.norm)


class ConvPoolConfig(Config):
    """A 1x1 convolution with a norm, then global average pooling: the end of EfficientNet's classifier before its last layer."""

    kind: Literal["conv_pool"] = "conv_pool"
    """Kind of region head."""
    hidden: int = Field(1280, ge=1)
    """Channels of the convolution."""
    norm_eps: float = Field(1e-3, gt=0)
    """Eps of the norm, whose statistics are frozen as loaded; EfficientNet-Lite was published with 1e-3."""

    def build(self, channels: int, side: int) -> ConvPool:
        """Build the head for regions of ``(channels, side, side)``."""
        return ConvPool(channels, self.hidden, self.norm_eps)


class FlatConfig(Config):
    """No layers: the flattened pooled region, for networks that need no further head."""

    kind: Literal["flat"] = "flat"
    """Kind of region head."""

    def build(self, channels: int, side: int) -> Flat:
        """Build the head for regions of ``(channels, side, side)``."""
        return Flat(channels * side * side)


RegionHeadConfig = Annotated[TwoFCConfig | ConvFCConfig | ConvPoolConfig | FlatConfig, Field(discriminator="kind")]


class TwoFC(nn.Module):
    """Two fully connected layers, named after those of VGG.

    Args:
        in_features: Features per pooled region.
        hidden: Output features of each layer.
        dropout: Dropout probability after each layer.
    """

    def __init__(self, in_features: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_features, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out_features = hidden

    def forward(self, regions: Tensor) -> Tensor:
        """Map ``(N, C, S, S)`` to ``(N, hidden)``."""
        hidden = self.dropout(functional.relu(self.fc6(regions.flatten(1))))
        features: Tensor = self.dropout(functional.relu(self.fc7(hidden)))
        return features


class ConvFC(nn.Module):
    """Convolutions, then one fully connected layer.

    Args:
        channels: Channels of a pooled region.
        side: Side of a pooled region in cells.
        convs: Number of 3x3 convolutions.
        width: Channels of each convolution.
        hidden: Output features of the fully connected layer.
        norm: Norm after each convolution.
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
        """Map ``(N, C, S, S)`` to ``(N, hidden)``."""
        return functional.relu(self.fc(self.convs(regions).flatten(1)))


class ConvPool(nn.Module):
    """A 1x1 convolution with a frozen norm and ReLU6, then global average pooling.

    Args:
        channels: Channels of a pooled region.
        hidden: Channels of the convolution.
        eps: Eps of the norm.
    """

    def __init__(self, channels: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, hidden, 1, bias=False)
        self.norm = FrozenBatchNorm(hidden, eps)
        self.out_features = hidden

    def forward(self, regions: Tensor) -> Tensor:
        """Map ``(N, C, S, S)`` to ``(N, hidden)``."""
        return functional.relu6(self.norm(self.conv(regions))).mean((2, 3))


class Flat(nn.Module):
    """Flattens a region.

    Args:
        out_features: Features per region.
    """

    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features

    def forward(self, regions: Tensor) -> Tensor:
        """Map ``(N, C, S, S)`` to ``(N, C * S * S)``."""
        return regions.flatten(1)


class RegionPredictor(nn.Module):
    """Class logits with background at index K, and box deltas for every class.

    Args:
        in_features: Features per region.
        num_classes: K.
        boxes: Whether there is a layer for boxes; otherwise all deltas are 0.
        text: How regions are compared with text embeddings; None: a linear layer predicts the classes.
    """

    def __init__(self, in_features: int, num_classes: int, boxes: bool = True, text: TextClassesConfig | None = None) -> None:
        super().__init__()
        self.logits: Float32Linear | TextLogits
        self.logits = Float32Linear(in_features, num_classes + 1) if text is None else TextLogits(in_features, num_classes, text)
        self.deltas = Float32Linear(in_features, num_classes * 4) if boxes else None

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(N, K + 1)`` logits and ``(N, K, 4)`` deltas, float32."""
        logits = self.logits(regions)
        deltas = logits.new_zeros((logits.shape[0], 4 * (logits.shape[1] - 1))) if self.deltas is None else self.deltas(regions)
        return logits, deltas.unflatten(1, (-1, 4))
