"""The feature pyramid network (Lin et al., 2017)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from detkit.layers import ConvNormAct, FusedConv, is_plain
from detkit.necks.wrapped import MapSource, Neck, initialize

Extra = Literal["pool", "p6p7", "p6p7_c5"]


class FPN(Neck):
    """A feature pyramid over a backbone; its parts bear the names of torchvision's ``FeaturePyramidNetwork``.

    Args:
        backbone: Gives the maps, finest first.
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
        """Maps of normalized images ``(B, 3, H, W)``, ``out_channels`` each, finest first."""
        maps = self.backbone(images)
        inner = self.inner_blocks[-1](maps[-1])
        pyramid = [self.layer_blocks[-1](inner)]
        for place in range(len(maps) - 2, -1, -1):
            lateral = self.inner_blocks[place]
            # To the map's size, not by 2: maps of odd sizes do not double.
            above = functional.interpolate(inner, size=maps[place].shape[-2:], mode="nearest")
            joined = isinstance(lateral[0], FusedConv)  # type: ignore[index]
            inner = lateral[0](maps[place], above, into=True) if joined else lateral(maps[place]) + above  # type: ignore[index, operator]
            pyramid.insert(0, self.layer_blocks[place](inner))
        return (*pyramid, *self._extra_levels(pyramid[-1], maps[-1]))

    def join_sums(self) -> None:
        """Let the lateral convolutions make their sums in one pass over the map: for detection alone, on a CPU, once norms are folded."""
        for block in self.inner_blocks:
            conv, *rest = block.children()
            if is_plain(conv) and all(isinstance(part, nn.Identity) for part in rest):
                block.add_module("0", FusedConv.of(conv, nn.Identity))

    def _extra_levels(self, last: Tensor, last_of_backbone: Tensor) -> tuple[Tensor, ...]:
        if self.extra is None:
            return ()
        if self.extra == "pool":
            return (functional.max_pool2d(last, kernel_size=1, stride=2),)
        p6, p7 = self.extra_blocks(last_of_backbone if self.extra == "p6p7_c5" else last)
        return p6, p7


class P6P7(nn.Module):
    """Two levels coarser than the last, by strided convolutions (RetinaNet, section 4)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        initialize(self)

    def forward(self, last: Tensor) -> tuple[Tensor, Tensor]:
        """P6 and P7 out of the last map."""
        p6 = self.p6(last)
        return p6, self.p7(functional.relu(p6))
