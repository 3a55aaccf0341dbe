"""Other norms in the place of batch norms."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

from detkit.layers.blocks import GROUPS


class GroupNormAct(nn.GroupNorm):
    """A group norm in a batch norm's place, under its parameters' names, with the activation that it may carry (timm's do).

    It has 32 groups (arXiv:1803.08494, section 4), or as many as divide the channels.
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
    """A batch norm whose statistics are those of all processes' images, with the activation that it may carry; on GPUs."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.activation = getattr(norm, "act", None)
        self.load_state_dict(norm.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(N, C, H, W)``."""
        normed = super().forward(x)
        return normed if self.activation is None else self.activation(normed)


def exchange_norms(module: nn.Module, make: Callable[[nn.BatchNorm2d], nn.Module]) -> None:
    """Exchange every ``BatchNorm2d`` below ``module``, in place, for what is made of it; names stay."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            module.add_module(name, make(child))
        else:
            exchange_norms(child, make)
