from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from detkit.layers.attention import Attention
from detkit.ops.fast_gradients import FastGradients


def made(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((2, 3, 5, 8), (2, 3, 9, 8), (2, 3, 9, 8))
    query, key, value = (torch.randn(size, generator=generator).to(dtype).requires_grad_() for size in sizes)
    return query, key, value


def mask(dtype: torch.dtype) -> Tensor:
    seen = torch.ones(2, 1, 5, 9, dtype=torch.bool)
    seen[1, :, :, 6:] = False
    return seen if dtype == torch.bool else torch.zeros(2, 1, 5, 9, dtype=dtype).masked_fill(~seen, -100.0)


@pytest.mark.parametrize("kind", [None, torch.bool, torch.float32, torch.bfloat16])
def test_what_learns_in_bfloat16_is_counted_in_float32(kind: torch.dtype | None) -> None:
    inputs, hidden = made(torch.bfloat16), None if kind is None else mask(kind)
    expected = functional.scaled_dot_product_attention(
        *(x.float() for x in inputs), attn_mask=hidden.float() if hidden is not None and kind != torch.bool else hidden
    )
    with FastGradients(), torch.autocast("cpu", torch.bfloat16):
        out = functional.scaled_dot_product_attention(*inputs, attn_mask=hidden)
    assert torch.equal(out, expected.bfloat16())
    wanted = torch.autograd.grad(expected.sum(), inputs)
    for gradient, other in zip(torch.autograd.grad(out.float().sum(), inputs), wanted, strict=True):
        assert gradient.dtype == torch.bfloat16
        assert_close(gradient, other, atol=0.02 * float(other.abs().max()), rtol=0.02)


def test_every_argument_is_handed_on() -> None:
    inputs = made(torch.bfloat16)
    with FastGradients():
        out = functional.scaled_dot_product_attention(*inputs, None, 0.0, is_causal=True, scale=0.3)
    expected = functional.scaled_dot_product_attention(*(x.float() for x in inputs), is_causal=True, scale=0.3)
    assert torch.equal(out, expected.bfloat16())


def test_without_gradients_and_in_float32_nothing_is_changed() -> None:
    rough, exact = made(torch.bfloat16), made(torch.float32)
    with FastGradients():
        assert torch.equal(functional.scaled_dot_product_attention(*exact), functional.scaled_dot_product_attention(*exact))
        with torch.no_grad():
            inside = functional.scaled_dot_product_attention(*rough)
    with torch.no_grad():
        assert torch.equal(inside, functional.scaled_dot_product_attention(*rough))


def test_the_layers_attention_is_seen() -> None:
    torch.manual_seed(0)
    layer, x = Attention(16, 4), torch.randn(2, 9, 16)
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(x, x, x)
        with FastGradients():
            finer = layer(x, x, x)
    assert finer.dtype == torch.bfloat16
    assert not torch.equal(rough, finer)
    assert_close(rough, finer, atol=0.01, rtol=0.05)
