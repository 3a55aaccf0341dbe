from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from detkit.accelerate.fast_gradients import FastGradients
from detkit.layers.attention import Attention


def random_inputs(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((2, 3, 5, 8), (2, 3, 9, 8), (2, 3, 9, 8))
    query, key, value = (torch.randn(size, generator=generator).to(dtype).requires_grad_() for size in sizes)
    return query, key, value


def mask(dtype: torch.dtype) -> Tensor:
    visible = torch.ones(2, 1, 5, 9, dtype=torch.bool)
    visible[1, :, :, 6:] = False
    return visible if dtype == torch.bool else torch.zeros(2, 1, 5, 9, dtype=dtype).masked_fill(~visible, -100.0)


@pytest.mark.parametrize("kind", [None, torch.bool, torch.float32, torch.bfloat16])
def test_bfloat16_training_is_computed_in_float32(kind: torch.dtype | None) -> None:
    inputs, attn_mask = random_inputs(torch.bfloat16), None if kind is None else mask(kind)
    expected = functional.scaled_dot_product_attention(
        *(x.float() for x in inputs), attn_mask=attn_mask.float() if attn_mask is not None and kind != torch.bool else attn_mask
    )
    with FastGradients(), torch.autocast("cpu", torch.bfloat16):
        out = functional.scaled_dot_product_attention(*inputs, attn_mask=attn_mask)
    assert torch.equal(out, expected.bfloat16())
    expected_gradients = torch.autograd.grad(expected.sum(), inputs)
    for gradient, reference in zip(torch.autograd.grad(out.float().sum(), inputs), expected_gradients, strict=True):
        assert gradient.dtype == torch.bfloat16
        assert_close(gradient, reference, atol=0.02 * float(reference.abs().max()), rtol=0.02)


def test_every_argument_is_passed_on() -> None:
    inputs = random_inputs(torch.bfloat16)
    with FastGradients():
        out = functional.scaled_dot_product_attention(*inputs, None, 0.0, is_causal=True, scale=0.3)
    expected = functional.scaled_dot_product_attention(*(x.float() for x in inputs), is_causal=True, scale=0.3)
    assert torch.equal(out, expected.bfloat16())


def test_no_change_without_gradients_or_in_float32() -> None:
    half, full = random_inputs(torch.bfloat16), random_inputs(torch.float32)
    with FastGradients():
        assert torch.equal(functional.scaled_dot_product_attention(*full), functional.scaled_dot_product_attention(*full))
        with torch.no_grad():
            inside = functional.scaled_dot_product_attention(*half)
    with torch.no_grad():
        assert torch.equal(inside, functional.scaled_dot_product_attention(*half))


def test_the_attention_layer_is_intercepted() -> None:
    torch.manual_seed(0)
    layer, x = Attention(16, 4), torch.randn(2, 9, 16)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x, x, x)
        with FastGradients():
            precise = layer(x, x, x)
    assert precise.dtype == torch.bfloat16
    assert not torch.equal(half, precise)
    assert_close(half, precise, atol=0.01, rtol=0.05)
