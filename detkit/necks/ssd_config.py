"""Config of SSD's neck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from detkit.config import Config

if TYPE_CHECKING:
    from detkit.necks.ssd_extras import SSDExtras


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
        from detkit.necks.ssd_extras import SSDExtras

        return SSDExtras(backbone, self)
