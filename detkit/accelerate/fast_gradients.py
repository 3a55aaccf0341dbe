"""Routing of training on the CPU to operators with fast gradients.

torch's fused attention takes there up to four times as long with bfloat16 gradients as with float32 ones; for convolutions see
:mod:`detkit.accelerate.depthwise`, :mod:`detkit.accelerate.dense_conv` and :mod:`detkit.accelerate.winograd`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from detkit.accelerate.dense_conv import convolve, trains_slowly
from detkit.accelerate.depthwise import convolve_in_float32, trains_depthwise
from detkit.accelerate.winograd import convolve_by_tiles, trains_by_tiles


class FastGradients(TorchFunctionMode):
    """Mode in which convolutions and attention train on the CPU with a fast backward pass.

    Depthwise convolutions and attention are computed in float32, also under autocast. Without it a training step of EfficientNet-Lite0 in
    bfloat16 takes 2.5 times as long, and one of FCOS on a ResNet-50 1.4 times as long on an AVX2 processor. Wide 3x3 convolutions in
    float32 are computed with a quarter of the multiplications, which changes results by rounding only. Results have the dtype that
    autocast would give, so the layers that follow stay in bfloat16. The mode cannot see the attention of modules that call torch's
    ``multi_head_attention_forward``; it does see that of :class:`detkit.layers.attention.Attention`.
    """

    def __torch_function__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Replace the slow functions and call every other one unchanged."""
        if function is functional.conv2d and not kwargs and len(args) == 7:
            x, weight, bias, stride, padding, dilation, groups = args
            if trains_depthwise(x, weight, groups):
                return convolve_in_float32(*args)
            if trains_by_tiles(x, weight, stride, padding, dilation, groups):
                return convolve_by_tiles(x, weight, bias)
            if trains_slowly(x, weight, padding, groups):
                return convolve(*args[:6])
        if function is functional.scaled_dot_product_attention and args and trains_in_bfloat16(args[0]):
            return attention_in_float32(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def trains_in_bfloat16(query: Tensor) -> bool:
    """Whether attention with this query is on the CPU, records gradients and would run in bfloat16."""
    if query.device.type != "cpu" or not torch.is_grad_enabled():
        return False
    return query.dtype == torch.bfloat16 or (torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16)


def attention_in_float32(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Compute torch's ``scaled_dot_product_attention`` in float32 and round the result to bfloat16."""
    with torch.autocast("cpu", enabled=False):
        if attn_mask is not None and attn_mask.is_floating_point():
            attn_mask = attn_mask.float()
        inputs = (query.float(), key.float(), value.float())
        out = functional.scaled_dot_product_attention(
            *inputs, attn_mask=attn_mask, dropout_p=dropout_p, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )
    return out.bfloat16()
