"""A layer norm over the channels of a map."""

from __future__ import annotations

from torch import Tensor, nn


class MapNorm(nn.LayerNorm):
    """Layer norm over the channels of each cell, as ConvNeXt's and ViTDet's maps have it."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(B, C, H, W)``."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
