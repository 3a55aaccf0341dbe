from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detkit.layers.cells import map_to_cells


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_through_a_batch_norm(count: int, training: bool, memory_format: torch.memory_format) -> None:
    """The gradient of the bias is the sum over all cells."""
    norm, generator = nn.BatchNorm2d(5).train(training), torch.Generator().manual_seed(0)
    x = torch.randn(count, 5, 3, 4, generator=generator).contiguous(memory_format=memory_format).requires_grad_()
    cells = map_to_cells(norm(x))
    gradient = torch.randn(cells.shape, generator=generator)
    cells.backward(gradient)  # type: ignore[no-untyped-call]
    assert_close(norm.bias.grad, gradient.sum((0, 1)))


def test_cells_are_in_row_major_order() -> None:
    x = torch.arange(24.0).view(1, 2, 3, 4)
    assert map_to_cells(x)[0, :, 0].tolist() == list(range(12))
