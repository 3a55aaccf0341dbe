"""Last layers of prediction heads, which run in float32 also under autocast: half precision moves boxes by pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers import FewCellsConv


def _float(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.float()


class Float32Linear(nn.Linear):
    """A linear layer whose input, arithmetic and output are float32."""

    def forward(self, x: Tensor) -> Tensor:
        """``(..., in)`` to ``(..., out)`` float32."""
        with torch.autocast(x.device.type, enabled=False):
            return functional.linear(x.float(), self.weight.float(), _float(self.bias))


class Float32Conv2d(nn.Conv2d):
    """A convolution whose input, arithmetic and output are float32."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C', H', W')`` float32."""
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = self._conv_forward(x.float(), self.weight.float(), _float(self.bias))
        return out


class Float32FewCellsConv(Float32Conv2d, FewCellsConv):
    """The same, for a layer that learns from few cells."""
