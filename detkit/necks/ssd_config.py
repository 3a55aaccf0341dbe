"""SSD's neck in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from detkit.config import Config

if TYPE_CHECKING:
    from detkit.necks.ssd_extras import SSDExtras


class ExtraLevelConfig(Config):
    """A map coarser than the one before it: a 1x1 convolution to half its channels, then one that shrinks."""

    channels: int = Field(256, ge=2)
    """Of the new map."""
    kernel: int = Field(3, ge=1)
    """Side of the shrinking kernel."""
    stride: int = Field(2, ge=1)
    """Its step."""
    padding: int = Field(1, ge=0)
    """Zeros round the map; with 0, a stride of 1 shrinks too, by ``kernel - 1`` cells."""


_VALID = ExtraLevelConfig(stride=1, padding=0)


class SSDExtrasConfig(Config):
    """SSD's further levels on top of a backbone's maps; the defaults are SSD300's (arXiv:1512.02325, figure 2, and its ssd_pascal.py)."""

    kind: Literal["ssd_extras"] = "ssd_extras"
    extras: tuple[ExtraLevelConfig, ...] = (ExtraLevelConfig(channels=512), ExtraLevelConfig(), _VALID, _VALID)
    """The levels behind the backbone's last map."""
    rescale: float | None = Field(20.0, gt=0)
    """The first map has each cell's channels divided by their length and multiplied by learned factors that start here (section 3.1);
    none: the map as it is."""
    atrous_channels: int | None = Field(1024, ge=1)
    """Channels of what VGG's fully connected layers become: a 3x3 convolution that reaches 6 cells far and a 1x1 one, over the last map
    (section 3, "base network"); none: the map as it is."""
    lite: bool = False
    """Depthwise separable convolutions with norms and ReLU6 (SSDLite, arXiv:1801.04381, section 6.2)."""

    def build(self, backbone: Any) -> SSDExtras:
        """The levels over a backbone."""
        from detkit.necks.ssd_extras import SSDExtras

        return SSDExtras(backbone, self)
