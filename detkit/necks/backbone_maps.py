"""The maps of a backbone as they are."""

from __future__ import annotations

from torch import Tensor

from detkit.necks.base import MapSource, Neck


class BackboneMaps(Neck):
    """All maps of a backbone, unchanged.

    Args:
        backbone: Source of the maps.
    """

    def __init__(self, backbone: MapSource) -> None:
        super().__init__(backbone, tuple(backbone.channels), tuple(backbone.strides))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of normalized images ``(B, 3, H, W)``, finest first."""
        maps: tuple[Tensor, ...] = tuple(self.backbone(images))
        return maps
