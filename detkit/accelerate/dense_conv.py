"""Convolutions whose weight gradient is fast on x86 processors without AVX-512.

There oneDNN, which torch calls, takes 1.5 to 6 times as long for the weight gradient of a channels-last convolution as for that of a
contiguous one, while its other two passes are as fast or faster. So only the weight gradient is computed on contiguous copies.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from detkit.machine import bf16_support

_MIN_CHANNELS = 16
"""Below this number of input channels, the copies take longer than they save."""


def trains_slowly(x: Tensor, weight: Tensor, padding: Any, groups: int) -> bool:
    """Whether torch's weight gradient of this convolution is the slow one, on this processor."""
    dense = groups == 1 and weight.shape[-1] > 1 and x.shape[1] >= _MIN_CHANNELS and not isinstance(padding, str)
    if not dense or x.dim() != 4 or x.dtype != torch.float32 or weight.dtype != torch.float32 or x.device.type != "cpu":
        return False
    if not (torch.is_grad_enabled() and weight.requires_grad) or torch.is_autocast_enabled("cpu") or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=torch.channels_last) and _is_affected()


@cache
def _is_affected() -> bool:
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return platform.machine().lower() in {"x86_64", "amd64"} and has_onednn and not bf16_support().fused


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any) -> Tensor:
    """Compute torch's ``conv2d`` for channels-last ``x`` and one group, with a fast weight gradient."""
    apply: Any = _Convolution.apply
    out: Tensor = apply(x, weight, bias, tuple(stride), tuple(padding), tuple(dilation))
    return out


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, *geometry: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return functional.conv2d(x, weight, bias, *geometry)  # type: ignore[call-overload,no-any-return]

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        x_gradient = _gradients(gradient, x, weight, ctx.geometry, 0) if needs_x else None
        weight_gradient = None
        if needs_weight:
            weight_gradient = _gradients(gradient.contiguous(), x.contiguous(), weight.contiguous(), ctx.geometry, 1)
            weight_gradient = weight_gradient.contiguous(memory_format=torch.channels_last)
        return x_gradient, weight_gradient, gradient.sum((0, 2, 3)) if needs_bias else None, None, None, None


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, geometry: tuple[tuple[int, ...], ...], which: int) -> Tensor:
    """Return the gradient of the input (0) or of the weight (1)."""
    wanted = [index == which for index in range(3)]
    results = torch.ops.aten.convolution_backward(gradient, x, weight, None, *geometry, False, [0, 0], 1, wanted)
    result: Tensor = results[which]
    return result
