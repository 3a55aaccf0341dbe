"""DEIMv2's encoder of the smallest sizes (arXiv:2509.20787): a second, coarser map, and one block for each of the two."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from detkit.layers.rep_blocks import ConvNorm, RepELANBlock
from detkit.necks.base import MapSource, Neck


class LiteEncoder(Neck):
    """A top-down and a bottom-up step between the map of a backbone and one of half its size, joined by addition.

    The coarser map is pooled from the finer one; the mean of its cells is added to each of them. Source: ``LiteEncoder`` of DEIMv2's
    repository (``lite_encoder.py``), whose names the parts have.

    Args:
        backbone: Source of one map.
        channels: Channels of both maps.
        depth: RepVGG blocks in each half of a block.
        expansion: Width of the blocks relative to half of the channels.

    Raises:
        ValueError: If the backbone returns more than one map.
    """

    def __init__(self, backbone: MapSource, channels: int, *, depth: int, expansion: float) -> None:
        if len(backbone.channels) != 1:
            names = backbone.level_names
            raise ValueError(
                f"neck lite_encoder: expected one map, got {', '.join(names)}; set model.backbone.levels to one, such as {names[-1]}"
            )
        stride = backbone.strides[0]
        super().__init__(backbone, (channels, channels), (stride, 2 * stride))
        self.input_proj = nn.ModuleList([ConvNorm(backbone.channels[0], channels, activation=False)])
        self.down_sample1 = _halve(channels)
        self.down_sample2 = _halve(channels)
        self.bi_fusion = ConvNorm(channels, channels)
        self.fpn_block = RepELANBlock(channels, channels, depth, expansion)
        self.pan_block = RepELANBlock(channels, channels, depth, expansion)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the two maps of normalized images ``(B, 3, H, W)``, finest first."""
        fine = self.input_proj[0](self.backbone(images)[0])
        coarse = self.down_sample1(fine)
        coarse = self.bi_fusion(coarse + coarse.mean((2, 3), keepdim=True))
        # Upsample to the size of the finer map instead of by a factor of 2, which fails for odd sizes.
        fine = self.fpn_block(fine + functional.interpolate(coarse, size=fine.shape[-2:], mode="nearest"))
        return fine, self.pan_block(coarse + self.down_sample2(fine))


def _halve(channels: int) -> nn.Module:
    """Return a pooling to ``ceil(size / 2)`` cells and a 1x1 convolution."""
    return nn.Sequential(nn.AvgPool2d(3, 2, padding=1), ConvNorm(channels, channels))
