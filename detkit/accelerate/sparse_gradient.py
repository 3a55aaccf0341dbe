"""Convolutions whose output gradient is sparse, as under a loss on a sample of the anchors.

A two-stage detector learns from a few hundred anchors and regions of an image, so almost all of the gradient of the convolutions
over its finest maps is 0. On a CPU these functions sum only over the cells with a nonzero gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_DENSITY = 0.1
"""Largest fraction of cells with a nonzero gradient at which the sparse computation is still the faster one."""


def sparse_gradient_conv(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Convolve ``(N, C, H, W)`` with ``(D, C, K, K)`` at stride 1; values, gradients and autocast behave as in ``conv2d``."""
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    apply: Any = _SparseGradientConv.apply
    with torch.autocast("cpu", enabled=False):
        out: Tensor = apply(x, weight, bias, padding)
    return out


class _SparseGradientConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.has_bias = padding, bias is not None
        return functional.conv2d(x, weight, bias, 1, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        cells = (gradient != 0).any(1).nonzero()
        needed = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.has_bias and ctx.needs_input_grad[2]]
        if len(cells) > MAX_DENSITY * gradient[:, 0].numel():
            options = ([1, 1], [ctx.padding] * 2, [1, 1], False, [0, 0], 1, needed)
            return *torch.ops.aten.convolution_backward(gradient, x, weight, [len(weight)], *options), None
        return *_sparse_gradients(gradient, x, weight, cells, ctx.padding, needed), None


def _sparse_gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, cells: Tensor, padding: int, needed: list[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of the input, the weight and the bias from the ``(n, 3)`` cells, ``image y x``, with a nonzero gradient."""
    rows = gradient.permute(0, 2, 3, 1)[tuple(cells.unbind(1))]  # (n, D)
    inputs, inside = _input_cells(cells, x, weight.shape[-1], padding)
    flat_weight = weight.permute(0, 2, 3, 1).flatten(1)  # (D, K * K * C)
    x_gradient = weight_gradient = None
    if needed[0]:
        patches = (rows @ flat_weight).reshape(*inputs.shape, x.shape[1])
        flat = x.new_zeros((x.shape[0] * x.shape[2] * x.shape[3], x.shape[1]))
        flat.index_add_(0, inputs[inside], patches[inside])
        x_gradient = flat.reshape(x.shape[0], x.shape[2], x.shape[3], -1).permute(0, 3, 1, 2)
    if needed[1]:
        patches = x.permute(0, 2, 3, 1).flatten(0, 2)[inputs] * inside[..., None]
        side = weight.shape[-1]
        weight_gradient = (rows.T @ patches.flatten(1)).reshape(len(weight), side, side, -1).permute(0, 3, 1, 2)
    return x_gradient, weight_gradient, rows.sum(0) if needed[2] else None


def _input_cells(cells: Tensor, x: Tensor, side: int, padding: int) -> tuple[Tensor, Tensor]:
    """``(n, K * K)`` flat indices, over the cells of all images, that each output cell reads, and whether each is inside the map."""
    height, width = x.shape[-2:]
    steps = torch.arange(side) - padding
    rows = (cells[:, 1, None, None] + steps[:, None]).expand(-1, side, side).flatten(1)
    columns = (cells[:, 2, None, None] + steps).expand(-1, side, side).flatten(1)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    indices = (cells[:, :1] * height + rows.clamp(0, height - 1)) * width + columns.clamp(0, width - 1)
    return indices, inside


class SparseGradientConv(nn.Conv2d):
    """Convolution that, in training on a CPU, sums over cells with a gradient only.

    Supports stride 1, no dilation and equal padding on every side. The state dict is that of an ``nn.Conv2d``.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if input.device.type == "cpu" and torch.is_grad_enabled() and weight.requires_grad:
            return sparse_gradient_conv(input, weight, bias, int(self.padding[0]))
        out: Tensor = super()._conv_forward(input, weight, bias)
        return out
