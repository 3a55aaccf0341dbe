"""Feature pyramid network (Lin et al., 2017)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from detkit.accelerate.fused import FusedConv, is_fusable_conv
from detkit.layers import ConvNormAct
from detkit.necks.base import MapSource, Neck, initialize

Extra = Literal["pool", "p6p7", "p6p7_c5"]


class FPN(Neck):
    """Feature pyramid over a backbone; its submodules have the names of torchvision's ``FeaturePyramidNetwork``.

    Args:
        backbone: Source of the maps, finest first.
        out_channels: Channels of every map of the pyramid.
        extra: Coarser levels; see :class:`detkit.necks.FPNConfig`.
        norm: ``batch`` or None.
    """

    def __init__(
        self, backbone: MapSource, out_channels: int = 256, *, extra: Extra | None = "pool", norm: Literal["batch"] | None = None
    ) -> None:
        added = {None: 0, "pool": 1, "p6p7": 2, "p6p7_c5": 2}[extra]
        strides = backbone.strides + tuple(backbone.strides[-1] * 2**k for k in range(1, added + 1))
        super().__init__(backbone, (out_channels,) * len(strides), strides)
        self.inner_blocks = nn.ModuleList(ConvNormAct(c, out_channels, 1, norm=norm, activation=None) for c in backbone.channels)
        self.layer_blocks = nn.ModuleList(ConvNormAct(out_channels, out_channels, 3, norm=norm, activation=None) for _ in backbone.channels)
        initialize(self.inner_blocks)
        initialize(self.layer_blocks)
        self.extra = extra
        if added == 2:
            self.extra_blocks = P6P7(backbone.channels[-1] if extra == "p6p7_c5" else out_channels, out_channels)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of normalized images ``(B, 3, H, W)``, each with ``out_channels`` channels, finest first."""
        maps = self.backbone(images)
        inner = self.inner_blocks[-1](maps[-1])
        pyramid = [self.layer_blocks[-1](inner)]
        for level in range(len(maps) - 2, -1, -1):
            lateral = self.inner_blocks[level]
            # Upsample to the size of the map instead of by a factor of 2, which fails for odd sizes.
            above = functional.interpolate(inner, size=maps[level].shape[-2:], mode="nearest")
            first = lateral.get_submodule("0")
            inner = first(maps[level], above, into=True) if isinstance(first, FusedConv) else lateral(maps[level]) + above
            pyramid.insert(0, self.layer_blocks[level](inner))
        return (*pyramid, *self._extra_levels(pyramid[-1], maps[-1]))

    def join_sums(self) -> None:
        """Merge the lateral convolutions with their sums into one pass over the map; for CPU inference only, after norms are folded."""
        for block in self.inner_blocks:
            conv, *rest = block.children()
            if is_fusable_conv(conv) and all(isinstance(part, nn.Identity) for part in rest):
                block.add_module("0", FusedConv.of(conv, nn.Identity))

    def _extra_levels(self, last: Tensor, last_of_backbone: Tensor) -> tuple[Tensor, ...]:
        if self.extra is None:
            return ()
        if self.extra == "pool":
            return (functional.max_pool2d(last, kernel_size=1, stride=2),)
        p6, p7 = self.extra_blocks(last_of_backbone if self.extra == "p6p7_c5" else last)
        return p6, p7


class P6P7(nn.Module):
    """Two levels coarser than the last one, by strided convolutions (RetinaNet, section 4)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        initialize(self)

    def forward(self, last: Tensor) -> tuple[Tensor, Tensor]:
        """Return P6 and P7 of the last map."""
        p6 = self.p6(last)
        return p6, self.p7(functional.relu(p6))
