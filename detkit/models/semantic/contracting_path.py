"""Contracting path of the first U-Net (arXiv:1505.04597, figure 1), as a backbone."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone
from detkit.backbones.info import BLOCKS, BackboneInfo, Level
from detkit.config import Config
from detkit.necks.unet import double_conv


class PaperUNetConfig(Config):
    """The network of the U-Net paper (arXiv:1505.04597); the defaults are the paper's."""

    channels: tuple[int, ...] = Field(default=(64, 128, 256, 512, 1024), min_length=2)
    """Channels of the maps, from the full resolution down to the coarsest; each map has half the resolution of the one before."""
    padding: Literal["valid", "same"] = "valid"
    """``valid``: convolutions see no pixels outside of the image, which is mirrored at its edges instead (section 2, overlap-tile
    strategy); ``same``: convolutions are padded with zeros, which takes a third of the time on small images."""
    norm: Literal["batch", "group"] | None = None
    """Norm after each convolution; none: as in the paper."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Fraction of the coarsest map's values that are dropped in training (section 3.1)."""


class ContractingPath(Backbone):
    """Two 3x3 convolutions at each resolution, with 2x2 max pooling in between.

    With valid convolutions, maps have fewer cells than the contract of backbones states; only a decoder that crops them can be on top.
    """

    def __init__(self, config: PaperUNetConfig) -> None:
        levels = tuple(Level(f"c{k}", channels, 2**k, (0.0, *BLOCKS)[min(k, 5)]) for k, channels in enumerate(config.channels))
        names = tuple(level.name for level in levels)
        zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        paper = "https://arxiv.org/abs/1505.04597"
        super().__init__(BackboneInfo("unet", "U-Net", 2015, paper, levels, names, 0, 0.0, "detkit", 572, zero, one))
        valid = config.padding == "valid"
        inputs = (3, *config.channels)
        self.blocks = nn.ModuleList(
            double_conv(before, channels, norm=config.norm, valid=valid) for before, channels in zip(inputs, config.channels, strict=False)
        )
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return a map for each resolution of images ``(B, 3, H, W)``, finest first."""
        maps: list[Tensor] = []
        for block in self.blocks:
            maps.append(block(self.pool(maps[-1]) if maps else images))
        return (*maps[:-1], self.dropout(maps[-1]))

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """See :meth:`Backbone.stages`; each resolution is a stage."""
        return tuple(nn.ModuleList([block]) for block in self.blocks)

    @property
    def margin(self) -> int:
        """Pixels that valid convolutions of both paths lose at each side: 92 for the paper's five resolutions."""
        coarsest = len(self.blocks) - 1
        down: int = sum(2 * 2**level for level in range(coarsest + 1))
        up: int = sum(2 * 2**level for level in range(coarsest))
        return down + up
