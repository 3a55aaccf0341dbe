"""Configs of the necks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from detkit.config import Config

ActivationName = Literal["relu", "relu6", "silu", "hardswish"]  # the names of detkit.layers.ACTIVATIONS; that module imports torch

if TYPE_CHECKING:
    from detkit.necks.fpn import FPN
    from detkit.necks.hybrid_encoder import HybridEncoder
    from detkit.necks.lite_encoder import LiteEncoder
    from detkit.necks.pan import PAN
    from detkit.necks.single_level import SingleLevel
    from detkit.necks.ssd_extras import SSDExtras
    from detkit.necks.yolov1 import YOLOv1Neck


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


class HybridEncoderConfig(Config):
    """RT-DETR's encoder: self-attention over the coarsest map, then a top-down and a bottom-up path (arXiv:2304.08069, section 4.2).

    The defaults are those of RT-DETR-R50. D-FINE (arXiv:2410.13842) has ``block="rep_elan"`` and ``downsample="separable"``.
    """

    kind: Literal["hybrid_encoder"] = "hybrid_encoder"
    channels: int = Field(default=256, ge=4)
    """Channels of every map, divisible by 4 and by ``attention_heads``; 128 in D-FINE-N, 384 in the largest models."""
    encoder_layers: int = Field(default=1, ge=0)
    """Attention layers of each map in ``attention_levels``."""
    attention_levels: tuple[int, ...] = (-1,)
    """Indices of the maps with self-attention, 0 for the finest; negative ones count from the coarsest, -1."""
    attention_heads: int = Field(default=8, ge=1)
    """Heads of each attention layer."""
    hidden: int = Field(default=1024, ge=1)
    """Hidden width of the feed-forward network in each attention layer; 512 in D-FINE-N, 2048 in the largest models."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout probability in the attention layers."""
    activation: Literal["relu", "gelu", "silu"] = "gelu"
    """Activation in the feed-forward network of each attention layer."""
    block: Literal["csp_rep", "rep_elan"] = "csp_rep"
    """Blocks that join two maps: ``csp_rep`` (RT-DETR), or ``rep_elan`` (D-FINE), whose top-down path has no activation after the 1x1
    convolutions."""
    expansion: float = Field(default=1.0, gt=0)
    """Width of the blocks relative to ``channels``, for ``rep_elan`` to half of them: 0.5 in RT-DETR-R18 and R34, 0.34 to 1 in D-FINE."""
    depth: float = Field(default=1.0, gt=0)
    """RepVGG blocks per block as a multiple of 3, rounded: 0.34 to 1."""
    downsample: Literal["convolution", "separable"] = "convolution"
    """Downsampling of the bottom-up path: ``convolution``, a strided 3x3 one (RT-DETR), or ``separable``, a 1x1 and a strided depthwise
    one (D-FINE)."""
    join: Literal["concatenation", "sum"] = "concatenation"
    """How two maps are joined before a block: ``concatenation`` of their channels, or their ``sum`` (DEIMv2)."""

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        if self.channels % 4 or self.channels % self.attention_heads:
            raise ValueError(f"channels: expected a multiple of 4 and of attention_heads={self.attention_heads}, got {self.channels}")
        return self

    def build(self, backbone: Any) -> HybridEncoder:
        """Build the encoder over a backbone.

        Raises:
            ValueError: If the backbone has no map of an index in ``attention_levels``.
        """
        from detkit.layers.transformer import LayerSizes
        from detkit.necks.hybrid_encoder import HybridEncoder, make_blocks

        sizes = LayerSizes(self.channels, self.attention_heads, self.hidden, self.dropout, self.activation)
        fuse, downsample = make_blocks(self.block, self.downsample, depth=round(3 * self.depth), expansion=self.expansion)
        return HybridEncoder(
            backbone,
            sizes,
            attention=self.attention_levels,
            depth=self.encoder_layers,
            fuse=fuse,
            downsample=downsample,
            lateral_activation=self.block == "csp_rep",
            add=self.join == "sum",
        )


class LiteEncoderConfig(Config):
    """DEIMv2's encoder of the smallest sizes: two maps from one of the backbone, without attention (arXiv:2509.20787)."""

    kind: Literal["lite_encoder"] = "lite_encoder"
    channels: int = Field(default=64, ge=4)
    """Channels of both maps: 64 in DEIMv2-Atto, 96 in Femto, 112 in Pico."""
    expansion: float = Field(default=0.34, gt=0)
    """Width of the blocks relative to half of ``channels``."""
    depth: float = Field(default=0.5, gt=0)
    """RepVGG blocks per block as a multiple of 3, rounded."""

    def build(self, backbone: Any) -> LiteEncoder:
        """Build the encoder over a backbone.

        Raises:
            ValueError: If the backbone returns more than one map.
        """
        from detkit.necks.lite_encoder import LiteEncoder

        return LiteEncoder(backbone, self.channels, depth=round(3 * self.depth), expansion=self.expansion)


class ExtraLevelConfig(Config):
    """A level coarser than the one before it: a 1x1 convolution to half its channels, then one that reduces its size."""

    channels: int = Field(256, ge=2)
    """Channels of the new map."""
    kernel: int = Field(3, ge=1)
    """Kernel size of the second convolution."""
    stride: int = Field(2, ge=1)
    """Stride of the second convolution."""
    padding: int = Field(1, ge=0)
    """Zero padding of the second convolution; without padding, a stride of 1 also reduces the size, by ``kernel - 1`` cells."""


_VALID = ExtraLevelConfig(stride=1, padding=0)


class SSDExtrasConfig(Config):
    """SSD's extra levels after a backbone; the defaults are those of SSD300 (arXiv:1512.02325, figure 2, and ssd_pascal.py)."""

    kind: Literal["ssd_extras"] = "ssd_extras"
    extras: tuple[ExtraLevelConfig, ...] = (ExtraLevelConfig(channels=512), ExtraLevelConfig(), _VALID, _VALID)
    """Levels after the backbone's last map."""
    rescale: float | None = Field(20.0, gt=0)
    """Initial scale of the L2 normalization of the first map: the channels of each cell are divided by their L2 norm and multiplied by
    learned factors (section 3.1); none: no normalization."""
    atrous_channels: int | None = Field(1024, ge=1)
    """Channels of the convolutions that replace VGG's fully connected layers, over the last map: a 3x3 one with dilation 6 and a 1x1 one
    (section 3, "base network"); none: no such convolutions."""
    lite: bool = False
    """Whether to use depthwise separable convolutions with norms and ReLU6 (SSDLite, arXiv:1801.04381, section 6.2)."""

    def build(self, backbone: Any) -> SSDExtras:
        """Build the levels over a backbone."""
        from detkit.necks.ssd_extras import ExtraLevel, SSDExtras

        extras = tuple(ExtraLevel(extra.channels, extra.kernel, extra.stride, extra.padding) for extra in self.extras)
        return SSDExtras(backbone, extras, rescale=self.rescale, atrous_channels=self.atrous_channels, lite=self.lite)


class YOLOv1NeckConfig(Config):
    """Convolutions that YOLOv1 adds for detection after a backbone's last map (arXiv:1506.02640, section 2.2)."""

    kind: Literal["yolov1_convolutions"] = "yolov1_convolutions"
    channels: tuple[int, ...] = Field((1024, 1024, 1024, 1024), min_length=1)
    """Channels of each 3x3 convolution."""
    downsample: Literal["convolution", "pooling"] = "convolution"
    """How the size of the map is halved: ``convolution``, by the second convolution (the first, if there is only one), or ``pooling``
    before the first, as in Fast YOLO."""
    norm: Literal["batch"] | None = "batch"
    """Norm after each convolution; the paper mentions none, the author's published yolov1.cfg has batch norm."""

    def build(self, backbone: Any) -> YOLOv1Neck:
        """Build the convolutions over a backbone."""
        from detkit.necks.yolov1 import YOLOv1Neck

        return YOLOv1Neck(backbone, self.channels, self.downsample, self.norm)
