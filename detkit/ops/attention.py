"""Attention with a fast backward on the CPU.

torch's fused attention takes up to four times as long with bfloat16 gradients as with float32 ones there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def learns_roughly(query: Tensor) -> bool:
    """Whether attention to this query is on the CPU, learns, and would run in bfloat16."""
    if query.device.type != "cpu" or not torch.is_grad_enabled():
        return False
    return query.dtype == torch.bfloat16 or (torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16)


def attend_in_float32(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """What torch's ``scaled_dot_product_attention`` gives for these arguments, counted in float32 and rounded to bfloat16."""
    with torch.autocast("cpu", enabled=False):
        if attn_mask is not None and attn_mask.is_floating_point():
            attn_mask = attn_mask.float()
        parts = (query.float(), key.float(), value.float())
        out = functional.scaled_dot_product_attention(
            *parts, attn_mask=attn_mask, dropout_p=dropout_p, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )
    return out.bfloat16()
