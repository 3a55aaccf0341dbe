"""One map of a backbone, as in the first Faster R-CNN (Ren et al., 2015) and its C4 descendants."""

from __future__ import annotations

from torch import Tensor, nn

from detkit.necks.wrapped import MapSource, Neck, initialize


class SingleLevel(Neck):
    """One map of a backbone.

    Args:
        backbone: Gives the maps.
        level: The map's name; None: the last one.
        out_channels: Channels to which a 1x1 convolution brings it; None: as it is.

    Raises:
        ValueError: the backbone gives no map of that name, or runs further than that map for nothing.
    """

    def __init__(self, backbone: MapSource, level: str | None = None, out_channels: int | None = None) -> None:
        names = backbone.level_names
        if level is not None and level not in names:
            raise ValueError(f"neck single: expected a level out of {', '.join(names)}, got {level!r}; set model.backbone.levels={level}")
        self.place = len(names) - 1 if level is None else names.index(level)
        if self.place != len(names) - 1:
            raise ValueError(
                f"neck single: level {level} is not the backbone's last ({names[-1]}), so later stages would run for nothing; "
                f"set model.backbone.levels={level}"
            )
        channels = backbone.channels[self.place]
        super().__init__(backbone, (out_channels or channels,), (backbone.strides[self.place],))
        self.projection = nn.Identity() if out_channels is None else nn.Conv2d(channels, out_channels, 1)
        initialize(self.projection)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The map of normalized images ``(B, 3, H, W)``, alone in a tuple."""
        return (self.projection(self.backbone(images)[self.place]),)
