"""Convolution layer for sparse output gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detkit.ops.sparse_gradient import sparse_gradient_conv


class SparseGradientConv(nn.Conv2d):
    """Convolution that, in training on a CPU, sums over cells with a gradient only; see :mod:`detkit.ops.sparse_gradient`.

    Supports stride 1, no dilation and equal padding on every side. The state dict is that of an ``nn.Conv2d``.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if input.device.type == "cpu" and torch.is_grad_enabled() and weight.requires_grad:
            return sparse_gradient_conv(input, weight, bias, int(self.padding[0]))
        out: Tensor = super()._conv_forward(input, weight, bias)
        return out
