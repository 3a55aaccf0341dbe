"""Layers for convolutions whose gradient comes from few cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detkit.ops.few_cells import few_cells_conv


class FewCellsConv(nn.Conv2d):
    """A convolution that, where it learns on a CPU, sums gradients over the cells that have one; see :mod:`detkit.ops.few_cells`.

    It takes a stride of 1, no dilation, and as much padding on every side. The state dict is a convolution's.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if input.device.type == "cpu" and torch.is_grad_enabled() and weight.requires_grad:
            return few_cells_conv(input, weight, bias, int(self.padding[0]))
        plain: Tensor = super()._conv_forward(input, weight, bias)
        return plain
