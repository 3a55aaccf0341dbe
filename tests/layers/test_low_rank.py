from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detkit.layers import low_rank


def test_full_rank_is_exact_and_lower_rank_optimal() -> None:
    torch.manual_seed(0)
    layer, rows = nn.Linear(20, 12), torch.randn(5, 20)
    assert_close(low_rank(layer, 12)(rows), layer(rows), atol=1e-5, rtol=1e-5)
    reduced = low_rank(layer, 4)
    left, values, right = torch.linalg.svd(layer.weight)
    expected = left[:, :4] @ torch.diag(values[:4]) @ right[:4]
    assert_close(reduced[1].weight @ reduced[0].weight, expected, atol=1e-5, rtol=1e-5)
    assert_close(reduced(rows), rows @ expected.T + layer.bias, atol=1e-5, rtol=1e-5)
    assert [tuple(part.weight.shape) for part in reduced] == [(4, 20), (12, 4)]


def test_invalid_ranks() -> None:
    with pytest.raises(ValueError, match="a rank from 1 to 12 for a layer of 20 to 12, got 13"):
        low_rank(nn.Linear(20, 12), 13)
