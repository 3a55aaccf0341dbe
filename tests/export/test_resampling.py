"""Resizing and pooling as products of matrices, against those of torch."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from detkit.export.resampling import average_pooled, replace_adaptive_pools, resized
from detkit.models.fast_rcnn import resize

SIZES = ((30, 40), (31, 17), (7, 7), (1, 5), (1, 1))


def noise(size: tuple[int, int]) -> torch.Tensor:
    return torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("factor", [0.4, 0.48, 2 / 3, 1.0, 1.7, 3.0])
@pytest.mark.parametrize("size", SIZES)
def test_resized_images(factor: float, size: tuple[int, int]) -> None:
    torch.testing.assert_close(resized(noise(size), factor), resize(noise(size), factor), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cells", [(1, 1), (2, 3), (6, 6), (7, 7), (9, 50)])
@pytest.mark.parametrize("size", SIZES)
def test_average_pooling(cells: tuple[int, int], size: tuple[int, int]) -> None:
    torch.testing.assert_close(average_pooled(noise(size), cells), functional.adaptive_avg_pool2d(noise(size), cells))


def test_adaptive_pools_are_replaced() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d((6, 4)), nn.Sequential(nn.AdaptiveAvgPool2d(3)), nn.AdaptiveAvgPool2d(1))
    expected = network(noise((31, 17)))
    replace_adaptive_pools(network)
    torch.testing.assert_close(network(noise((31, 17))), expected)
    assert [type(layer).__name__ for layer in network.modules() if "Pool" in type(layer).__name__] == ["AveragePool"] * 2 + [
        "AdaptiveAvgPool2d"
    ]
