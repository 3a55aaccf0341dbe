"""Configs of the necks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from detkit.config import Config

ActivationName = Literal["relu", "relu6", "silu", "hardswish"]  # the names of detkit.layers.ACTIVATIONS; that module imports torch

if TYPE_CHECKING:
    from detkit.necks.fpn import FPN
    from detkit.necks.pan import PAN
    from detkit.necks.single_level import SingleLevel


class FPNConfig(Config):
    """Feature pyramid network: every level has the same number of channels and gets features from the coarser levels."""

    kind: Literal["fpn"] = "fpn"
    out_channels: int = Field(default=256, gt=0)
    """Channels of every map."""
    extra_levels: Literal["pool", "p6p7", "p6p7_c5"] | None = "pool"
    """Coarser levels: ``pool`` subsamples the last map (Faster R-CNN); ``p6p7`` adds two by strided convolutions of the last map of the
    pyramid, ``p6p7_c5`` of the last map of the backbone."""
    norm: Literal["batch"] | None = None
    """Norm after each convolution; torchvision's version 2 detectors have ``batch``."""

    def build(self, backbone: Any) -> FPN:
        """Build the pyramid over a backbone."""
        from detkit.necks.fpn import FPN

        return FPN(backbone, self.out_channels, extra=self.extra_levels, norm=self.norm)


class SingleLevelConfig(Config):
    """One map of the backbone, as in the first Faster R-CNN."""

    kind: Literal["single"] = "single"
    level: str | None = None
    """Name of the map; none: the backbone's last one (see ``model.backbone.levels``; ``c4`` has stride 16)."""
    out_channels: int | None = None
    """Output channels of a 1x1 convolution over the map; none: no convolution."""

    def build(self, backbone: Any) -> SingleLevel:
        """Build the neck over a backbone.

        Raises:
            ValueError: If the backbone has no such map.
        """
        from detkit.necks.single_level import SingleLevel

        return SingleLevel(backbone, self.level, self.out_channels)


class PANConfig(Config):
    """YOLOX's path aggregation network: a top-down pyramid followed by a bottom-up one."""

    kind: Literal["pan"] = "pan"
    out_channels: int | None = Field(default=None, gt=1)
    """Channels to which every map of the backbone is projected first; none: no projection, as published."""
    depth: int = Field(default=1, ge=1)
    """Bottlenecks per block: 1 for nano, tiny and s, 2 for m, 3 for l, 4 for x."""
    depthwise: bool = False
    """Whether 3x3 convolutions are depthwise, followed by a 1x1 convolution, as in nano."""
    activation: ActivationName = "silu"
    """Activation after every norm."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of the backbone's channels that are dropped in training, at random for each image (arXiv:1411.4280); reduces overfitting on
    small data sets."""

    def build(self, backbone: Any) -> PAN:
        """Build the network over a backbone."""
        from detkit.layers import ACTIVATIONS
        from detkit.necks.pan import yolox_pan

        activation = ACTIVATIONS[self.activation]
        return yolox_pan(
            backbone, self.depth, depthwise=self.depthwise, activation=activation, out_channels=self.out_channels, dropout=self.dropout
        )


class LightPANConfig(Config):
    """Path aggregation network for small devices: few channels, and depthwise convolutions with a large kernel."""

    kind: Literal["light_pan"] = "light_pan"
    out_channels: int = Field(default=96, gt=0)
    """Channels of every map."""
    kernel: Literal[3, 5, 7] = 5
    """Kernel size of the depthwise convolutions."""
    activation: ActivationName = "relu"
    """Activation after every norm."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of the backbone's channels that are dropped in training, at random for each image (arXiv:1411.4280); reduces overfitting on
    small data sets."""

    def build(self, backbone: Any) -> PAN:
        """Build the network over a backbone."""
        from detkit.layers import ACTIVATIONS
        from detkit.necks.pan import light_pan

        activation = ACTIVATIONS[self.activation]
        return light_pan(backbone, self.out_channels, kernel=self.kernel, activation=activation, dropout=self.dropout)
