from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detkit.layers import low_rank


def test_the_full_rank_is_the_layer_and_a_lower_one_the_best_there_is() -> None:
    torch.manual_seed(0)
    layer, rows = nn.Linear(20, 12), torch.randn(5, 20)
    assert_close(low_rank(layer, 12)(rows), layer(rows), atol=1e-5, rtol=1e-5)
    thin = low_rank(layer, 4)
    left, values, right = torch.linalg.svd(layer.weight)
    expected = left[:, :4] @ torch.diag(values[:4]) @ right[:4]
    assert_close(thin[1].weight @ thin[0].weight, expected, atol=1e-5, rtol=1e-5)
    assert_close(thin(rows), rows @ expected.T + layer.bias, atol=1e-5, rtol=1e-5)
    assert [tuple(part.weight.shape) for part in thin] == [(4, 20), (12, 4)]


def test_ranks_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="a rank from 1 to 12 for a layer of 20 to 12, got 13"):
        low_rank(nn.Linear(20, 12), 13)
