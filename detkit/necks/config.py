"""Which neck a detector has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from detkit.config import Config

ActivationName = Literal["relu", "relu6", "silu", "hardswish"]  # those of detkit.layers, which needs torch

if TYPE_CHECKING:
    from detkit.necks.fpn import FPN
    from detkit.necks.pan import PAN
    from detkit.necks.single_level import SingleLevel


class FPNConfig(Config):
    """A feature pyramid: every level gets the same number of channels, and sees what the coarser ones saw."""

    kind: Literal["fpn"] = "fpn"
    out_channels: int = Field(default=256, gt=0)
    """Channels of every map."""
    extra_levels: Literal["pool", "p6p7", "p6p7_c5"] | None = "pool"
    """Coarser levels: ``pool`` subsamples the last map (Faster R-CNN); ``p6p7`` adds two by strided convolutions, from the last map of the
    pyramid, or with ``p6p7_c5`` from the backbone's."""
    norm: Literal["batch"] | None = None
    """A norm behind each convolution; torchvision's second generation of detectors has ``batch``."""

    def build(self, backbone: Any) -> FPN:
        """The pyramid over a backbone."""
        from detkit.necks.fpn import FPN

        return FPN(backbone, self.out_channels, extra=self.extra_levels, norm=self.norm)


class SingleLevelConfig(Config):
    """One map of the backbone, as in the first Faster R-CNN."""

    kind: Literal["single"] = "single"
    level: str | None = None
    """The map's name; none: the last one that the backbone gives (``model.backbone.levels`` says which it gives: ``c4`` has stride 16)."""
    out_channels: int | None = None
    """Channels to which a 1x1 convolution brings the map; none: the map as it is."""

    def build(self, backbone: Any) -> SingleLevel:
        """The chosen map of a backbone.

        Raises:
            ValueError: the backbone gives no such map.
        """
        from detkit.necks.single_level import SingleLevel

        return SingleLevel(backbone, self.level, self.out_channels)


class PANConfig(Config):
    """YOLOX's path aggregation network: a pyramid whose levels see the coarser ones and then the finer ones."""

    kind: Literal["pan"] = "pan"
    out_channels: int | None = Field(default=None, gt=1)
    """Every map is brought to so many channels first; none: each has as many as the backbone's, as published."""
    depth: int = Field(default=1, ge=1)
    """Bottlenecks of each block: 1 for nano, tiny and s, 2 for m, 3 for l, 4 for x."""
    depthwise: bool = False
    """Whether 3x3 convolutions are depthwise, with a 1x1 behind, as in nano."""
    activation: ActivationName = "silu"
    """Behind every norm."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the backbone's channels that a training step leaves out, drawn for each image (arXiv:1411.4280): against learning few
    images by heart."""

    def build(self, backbone: Any) -> PAN:
        """The network over a backbone."""
        from detkit.layers import ACTIVATIONS
        from detkit.necks.pan import yolox_pan

        activation = ACTIVATIONS[self.activation]
        return yolox_pan(
            backbone, self.depth, depthwise=self.depthwise, activation=activation, out_channels=self.out_channels, dropout=self.dropout
        )


class LightPANConfig(Config):
    """A path aggregation network for small machines: few channels, and depthwise convolutions with a large kernel."""

    kind: Literal["light_pan"] = "light_pan"
    out_channels: int = Field(default=96, gt=0)
    """Channels of every map."""
    kernel: Literal[3, 5, 7] = 5
    """Side of the depthwise kernels."""
    activation: ActivationName = "relu"
    """Behind every norm."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the backbone's channels that a training step leaves out, drawn for each image (arXiv:1411.4280): against learning few
    images by heart."""

    def build(self, backbone: Any) -> PAN:
        """The network over a backbone."""
        from detkit.layers import ACTIVATIONS
        from detkit.necks.pan import light_pan

        activation = ACTIVATIONS[self.activation]
        return light_pan(backbone, self.out_channels, kernel=self.kernel, activation=activation, dropout=self.dropout)
