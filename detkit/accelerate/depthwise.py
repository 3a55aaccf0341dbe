"""Depthwise convolutions with a fast backward pass on the CPU.

oneDNN, which torch calls, takes 5 to 30 times as long for the gradients of a depthwise convolution as for its forward pass
where the kernel is 5x5 or the stride 2, most of all in bfloat16. This module combines oneDNN's float32 gradient of the input,
which is fast, with a compiled gradient of the weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from detkit.accelerate.optional import or_none
from detkit.accelerate.threads import run_jobs

_CHUNKS = 8
"""Chunks of an image that are summed separately and then added, so that the result does not depend on the number of threads."""


def depthwise_conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """Convolve ``(N, C, H, W)`` with ``(C, 1, K, K)``; gradients are summed in float32."""
    apply: Any = _Depthwise.apply
    out: Tensor = apply(x, weight, bias, stride, padding)
    return out


def trains_depthwise(x: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether a convolution of ``x`` with ``weight`` is depthwise, on the CPU, and computes a gradient of ``weight``."""
    depthwise = 1 < groups == x.shape[1] == weight.shape[0]
    return depthwise and x.device.type == "cpu" and torch.is_grad_enabled() and weight.requires_grad


def convolve_in_float32(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    """Compute torch's ``conv2d`` for a depthwise convolution in float32, then round the result as autocast would."""
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    with torch.autocast("cpu", enabled=False):
        x, weight, bias = x.float(), weight.float(), None if bias is None else bias.float()
        if _is_slow(weight, stride, padding, dilation):
            out = depthwise_conv(x, weight, bias, stride[0], padding[0])
        else:
            out = functional.conv2d(x, weight, bias, stride, padding, dilation, groups)
    return out.to(dtype)


def _is_slow(weight: Tensor, stride: Any, padding: Any, dilation: Any) -> bool:
    """Whether torch's float32 backward pass is slow here and the compiled one can replace it."""
    if isinstance(padding, str) or weight.shape[-2] != weight.shape[-1] or weight.shape[-1] < 5:
        return False
    return stride[0] == stride[1] and padding[0] == padding[1] and tuple(dilation) == (1, 1) and _kernel() is not None


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = (stride, padding)
        return functional.conv2d(x, weight, bias, stride, padding, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradient.float().contiguous(memory_format=torch.channels_last)
        needed = ctx.needs_input_grad
        x_gradient = _input_gradient(gradient, x, weight, *ctx.geometry).to(x.dtype) if needed[0] else None
        weight_gradient = _weight_gradient(gradient, x, weight, *ctx.geometry).to(weight.dtype) if needed[1] else None
        return x_gradient, weight_gradient, gradient.sum((0, 2, 3)).to(weight.dtype) if needed[2] else None, None, None


def _input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    options = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight), [True, False, False])
    # Only the shape and the layout of the input matter here, so its values are not copied.
    placeholder = torch.empty_like(x, dtype=torch.float32, memory_format=torch.channels_last)
    result: Tensor = torch.ops.aten.convolution_backward(gradient, placeholder, weight.float(), None, *options)[0]
    return result


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    values = x.float().permute(0, 2, 3, 1).contiguous().numpy()
    gradients, side = gradient.permute(0, 2, 3, 1).numpy(), weight.shape[-1]
    parts = torch.empty((len(values), _CHUNKS, side, side, len(weight)))
    rows = gradients.shape[1]
    jobs = []
    for image in range(len(values)):
        for chunk in range(_CHUNKS):
            span = (rows * chunk // _CHUNKS, rows * (chunk + 1) // _CHUNKS)
            jobs.append((_kernel(), (values[image], gradients[image], *span, stride, padding, parts[image, chunk].numpy())))
    run_jobs(jobs)
    return parts.sum((0, 1)).permute(2, 0, 1)[:, None]


@or_none
def _kernel() -> Any:
    from detkit.accelerate.depthwise_kernels import weight_gradient

    return weight_gradient
