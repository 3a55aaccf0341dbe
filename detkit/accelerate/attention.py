"""Attention with a fast backward pass on the CPU.

There torch's fused attention takes up to four times as long with bfloat16 gradients as with float32 ones.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
