"""Last layers of prediction heads, which stay in float32 under autocast: half precision moves boxes by pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.accelerate.sparse_gradient import SparseGradientConv


def _to_float(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.float()


class Float32Linear(nn.Linear):
    """Linear layer whose input, arithmetic and output are float32."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in)`` to ``(..., out)`` in float32."""
        with torch.autocast(x.device.type, enabled=False):
            return functional.linear(x.float(), self.weight.float(), _to_float(self.bias))


class Float32Conv2d(nn.Conv2d):
    """Convolution whose input, arithmetic and output are float32."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, C', H', W')`` in float32."""
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = self._conv_forward(x.float(), self.weight.float(), _to_float(self.bias))
        return out


class Float32SparseGradientConv(Float32Conv2d, SparseGradientConv):
    """Float32 convolution for a layer whose output gets a gradient at few cells."""
