from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from detkit.layers.attention import Attention


def parts(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    padded = torch.zeros(2, 9, dtype=torch.bool)
    padded[1, 6:] = True
    query, key, value = torch.randn(2, 5, 16), torch.randn(2, 9, 16), torch.randn(2, 9, 16)
    return query.to(dtype).requires_grad_(), key.to(dtype).requires_grad_(), value.to(dtype).requires_grad_(), padded


@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradients_equal_torchs_module(masked: bool) -> None:
    *inputs, padded = parts()
    ours, theirs = Attention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    found = ours(*inputs, padded if masked else None)
    expected, _ = theirs(*inputs, key_padding_mask=padded if masked else None, need_weights=True)
    assert_close(found, expected)
    weights = torch.randn_like(found)
    wanted = torch.autograd.grad((expected * weights).sum(), (*inputs, *theirs.parameters()))
    for gradient, other in zip(torch.autograd.grad((found * weights).sum(), (*inputs, *ours.parameters())), wanted, strict=True):
        assert_close(gradient, other, atol=1e-5, rtol=1e-5)


def test_its_weights_are_dropped_in_training_alone() -> None:
    *inputs, _ = parts()
    layer = Attention(16, 4, dropout=0.5)
    assert not torch.equal(layer(*inputs), layer(*inputs))
    layer.eval()
    assert torch.equal(layer(*inputs), layer(*inputs))
