"""RMS norms in operations that every operator set has: ONNX has an operator for them from version 23 on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PlainRMSNorm(nn.Module):
    """Equals an :class:`torch.nn.RMSNorm` over the last dimension.

    Args:
        norm: The norm; its weights are shared.
    """

    def __init__(self, norm: nn.RMSNorm) -> None:
        super().__init__()
        self.weight: Any = norm.weight
        self.eps = torch.finfo(torch.float32).eps if norm.eps is None else norm.eps

    def forward(self, values: Tensor) -> Tensor:
        """Divide each row by its root mean square, and multiply it with the weights."""
        normalized = values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + self.eps)
        return normalized if self.weight is None else normalized * self.weight


def replace_rms_norms(module: nn.Module) -> None:
    """Replace the RMS norms of a network, in place."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.RMSNorm):
                parent.add_module(name, PlainRMSNorm(child))
