from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from detkit.layers.attention import Attention


def random_inputs(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    padded = torch.zeros(2, 9, dtype=torch.bool)
    padded[1, 6:] = True
    query, key, value = torch.randn(2, 5, 16), torch.randn(2, 9, 16), torch.randn(2, 9, 16)
    return query.to(dtype).requires_grad_(), key.to(dtype).requires_grad_(), value.to(dtype).requires_grad_(), padded


@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradients_equal_torch(masked: bool) -> None:
    *inputs, padded = random_inputs()
    layer, reference = Attention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    reference.load_state_dict(layer.state_dict())
    result = layer(*inputs, padded if masked else None)
    expected, _ = reference(*inputs, key_padding_mask=padded if masked else None, need_weights=True)
    assert_close(result, expected)
    weights = torch.randn_like(result)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), (*inputs, *reference.parameters()))
    for gradient, expected_gradient in zip(
        torch.autograd.grad((result * weights).sum(), (*inputs, *layer.parameters())), expected_gradients, strict=True
    ):
        assert_close(gradient, expected_gradient, atol=1e-5, rtol=1e-5)


def test_attention_dropout_is_active_only_in_training() -> None:
    *inputs, _ = random_inputs()
    layer = Attention(16, 4, dropout=0.5)
    assert not torch.equal(layer(*inputs), layer(*inputs))
    layer.eval()
    assert torch.equal(layer(*inputs), layer(*inputs))
