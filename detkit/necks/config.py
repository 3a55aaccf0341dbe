"""Which neck a detector has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from detkit.config import Config

if TYPE_CHECKING:
    from detkit.necks.fpn import FPN
    from detkit.necks.single_level import SingleLevel


class FPNConfig(Config):
    """A feature pyramid: every level gets the same number of channels, and sees what the coarser ones saw."""

    kind: Literal["fpn"] = "fpn"
    out_channels: int = Field(default=256, gt=0)
    """Channels of every map."""
    extra: Literal["pool", "p6p7", "p6p7_c5"] | None = "pool"
    """Coarser levels: ``pool`` subsamples the last map (Faster R-CNN); ``p6p7`` adds two by strided convolutions, from the last map of the
    pyramid, or with ``p6p7_c5`` from the backbone's."""
    norm: Literal["batch"] | None = None
    """A norm behind each convolution; torchvision's second generation of detectors has ``batch``."""

    def build(self, backbone: Any) -> FPN:
        """The pyramid over a backbone."""
        from detkit.necks.fpn import FPN

        return FPN(backbone, self.out_channels, extra=self.extra, norm=self.norm)


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
