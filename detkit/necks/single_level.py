"""One map of a backbone, as in the first Faster R-CNN (Ren et al., 2015) and later C4 detectors."""

from __future__ import annotations

from torch import Tensor, nn

from detkit.necks.base import MapSource, Neck, initialize


class SingleLevel(Neck):
    """One map of a backbone.

    Args:
        backbone: Source of the maps.
        level: Name of the map; None: the last one.
        out_channels: Output channels of a 1x1 convolution over the map; None: no convolution.

    Raises:
        ValueError: If the backbone has no map of that name, or computes stages after that map that nothing uses.
    """

    def __init__(self, backbone: MapSource, level: str | None = None, out_channels: int | None = None) -> None:
        names = backbone.level_names
        if level is not None and level not in names:
            raise ValueError(
                f"neck single: expected one of the levels {', '.join(names)}, got {level!r}; set model.backbone.levels={level}"
            )
        self.index = len(names) - 1 if level is None else names.index(level)
        if self.index != len(names) - 1:
            raise ValueError(
                f"neck single: expected the backbone's last level ({names[-1]}), got {level}: the later stages would not be used; "
                f"set model.backbone.levels={level}"
            )
        channels = backbone.channels[self.index]
        super().__init__(backbone, (out_channels or channels,), (backbone.strides[self.index],))
        self.projection = nn.Identity() if out_channels is None else nn.Conv2d(channels, out_channels, 1)
        initialize(self.projection)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of normalized images ``(B, 3, H, W)`` as a tuple of one."""
        return (self.projection(self.backbone(images)[self.index]),)
