"""Convolutions whose gradient comes from few cells, as under a loss that looks at a sample of anchors.

A two-stage detector learns from a few hundred anchors and regions of an image; almost all of the gradient of the convolutions
over its finest maps is 0. On a CPU the sums are made over the cells that have one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

MOST = 0.1
"""The share of cells with a gradient up to which it is quicker to look at these alone."""


def few_cells_conv(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """``(N, C, H, W)`` by ``(D, C, K, K)`` with stride 1; values and gradients of ``conv2d``, whose autocast it heeds."""
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    with torch.autocast("cpu", enabled=False):
        out: Tensor = _FewCells.apply(x, weight, bias, padding)  # type: ignore[no-untyped-call]
    return out


class _FewCells(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.has_bias = padding, bias is not None
        return functional.conv2d(x, weight, bias, 1, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        cells = (gradient != 0).any(1).nonzero()
        wanted = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.has_bias and ctx.needs_input_grad[2]]
        if len(cells) > MOST * gradient[:, 0].numel():
            numbers = ([1, 1], [ctx.padding] * 2, [1, 1], False, [0, 0], 1, wanted)
            return *torch.ops.aten.convolution_backward(gradient, x, weight, [len(weight)], *numbers), None
        return *_gradients(gradient, x, weight, cells, ctx.padding, wanted), None


def _gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, cells: Tensor, padding: int, wanted: list[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Those of the input, the weight and the bias, from the ``(n, 3)`` places ``image y x`` that have a gradient."""
    rows = gradient.permute(0, 2, 3, 1)[tuple(cells.unbind(1))]  # (n, D)
    locations, inside = _seen(cells, x, weight.shape[-1], padding)
    by_cell = weight.permute(0, 2, 3, 1).flatten(1)  # (D, K * K * C)
    for_x = for_weight = None
    if wanted[0]:
        spread = (rows @ by_cell).reshape(*locations.shape, x.shape[1])
        flat = x.new_zeros((x.shape[0] * x.shape[2] * x.shape[3], x.shape[1]))
        flat.index_add_(0, locations[inside], spread[inside])
        for_x = flat.reshape(x.shape[0], x.shape[2], x.shape[3], -1).permute(0, 3, 1, 2)
    if wanted[1]:
        patches = x.permute(0, 2, 3, 1).flatten(0, 2)[locations] * inside[..., None]
        side = weight.shape[-1]
        for_weight = (rows.T @ patches.flatten(1)).reshape(len(weight), side, side, -1).permute(0, 3, 1, 2)
    return for_x, for_weight, rows.sum(0) if wanted[2] else None


def _seen(cells: Tensor, x: Tensor, side: int, padding: int) -> tuple[Tensor, Tensor]:
    """``(n, K * K)`` the places, in all images' cells, that each output cell was made from, and whether they lie in the map."""
    height, width = x.shape[-2:]
    steps = torch.arange(side) - padding
    rows = (cells[:, 1, None, None] + steps[:, None]).expand(-1, side, side).flatten(1)
    columns = (cells[:, 2, None, None] + steps).expand(-1, side, side).flatten(1)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    locations = (cells[:, :1] * height + rows.clamp(0, height - 1)) * width + columns.clamp(0, width - 1)
    return locations, inside
