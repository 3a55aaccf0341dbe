"""Norms besides batch norm, and the replacement and settings of batch norms."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

from detkit.layers.blocks import GROUPS

NORM_EPS, NORM_MOMENTUM = 1e-3, 0.03
"""Eps and momentum of the batch norms of YOLOX (``yolox_base.py``) and of torchvision's SSDLite."""


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each cell, as for the maps of ConvNeXt and ViTDet."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(B, C, H, W)``."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GroupNormAct(nn.GroupNorm):
    """Group norm that replaces a batch norm, with its parameter names and its activation, if it includes one (timm's do).

    The number of groups is the greatest common divisor of 32 (arXiv:1803.08494, section 4) and the channels.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__(math.gcd(GROUPS, norm.num_features), norm.num_features, norm.eps)
        self.activation = getattr(norm, "act", None)
        self.load_state_dict({name: value for name, value in norm.state_dict().items() if name in {"weight", "bias"}})

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(N, C, H, W)``."""
        normed = super().forward(x)
        return normed if self.activation is None else self.activation(normed)


class SyncNormAct(nn.SyncBatchNorm):
    """Batch norm with statistics over the images of all processes, and with the replaced norm's activation; on GPUs."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.activation = getattr(norm, "act", None)
        self.load_state_dict(norm.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(N, C, H, W)``."""
        normed = super().forward(x)
        return normed if self.activation is None else self.activation(normed)


def replace_norms(module: nn.Module, make: Callable[[nn.BatchNorm2d], nn.Module]) -> None:
    """Replace every ``BatchNorm2d`` below ``module``, in place, by the module that ``make`` returns for it; names stay."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            module.add_module(name, make(child))
        else:
            replace_norms(child, make)


def set_batch_norms(network: nn.Module) -> None:
    """Set the eps and momentum of every batch norm, in place, to :data:`NORM_EPS` and :data:`NORM_MOMENTUM`."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = NORM_EPS, NORM_MOMENTUM
