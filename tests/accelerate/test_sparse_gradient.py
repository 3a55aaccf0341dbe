from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from detkit.accelerate import sparse_gradient
from detkit.accelerate.sparse_gradient import sparse_gradient_conv

Inputs = tuple[Tensor, Tensor, Tensor]


def random_inputs(side: int, dtype: torch.dtype = torch.float32, layout: torch.memory_format = torch.contiguous_format) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2, 6, 19, 23), generator=generator).to(dtype).to(memory_format=layout)
    weight = torch.randn((5, 6, side, side), generator=generator).to(dtype)
    return x.requires_grad_(), weight.requires_grad_(), torch.randn(5, generator=generator).to(dtype).requires_grad_()


def gradients(out: Tensor, inputs: Inputs, cells: list[tuple[int, int, int]]) -> tuple[Tensor, ...]:
    """Gradients of a loss on a few cells, including corners."""
    output_gradient = torch.zeros_like(out)
    for index, (image, row, column) in enumerate(cells):
        output_gradient[image, :, row, column] = torch.arange(1.0, 6.0) - index
    return torch.autograd.grad((out * output_gradient).sum(), inputs)


CELLS = [(0, 0, 0), (0, 18, 22), (1, 7, 8), (1, 7, 9), (1, 18, 0)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("side", "padding"), [(1, 0), (3, 1), (5, 2), (3, 0)])
def test_values_and_gradients_equal_conv2d(side: int, padding: int, layout: torch.memory_format) -> None:
    inputs = random_inputs(side, layout=layout)
    cells = [cell for cell in CELLS if (side, padding) != (3, 0) or cell[1:] in {(7, 8), (7, 9), (0, 0)}]
    out, expected = sparse_gradient_conv(*inputs, padding), functional.conv2d(*inputs, 1, padding)
    assert torch.equal(out, expected)
    for gradient, reference in zip(gradients(out, inputs, cells), gradients(expected, inputs, cells), strict=True):
        assert_close(gradient, reference, atol=1e-4, rtol=1e-5)


def test_only_few_cells_use_the_sparse_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    original = sparse_gradient._sparse_gradients
    monkeypatch.setattr(sparse_gradient, "_sparse_gradients", lambda *args: counts.append(len(args[3])) or original(*args))
    inputs = random_inputs(3)
    gradients(sparse_gradient_conv(*inputs, 1), inputs, CELLS)
    assert counts == [5]
    result = torch.autograd.grad(sparse_gradient_conv(*inputs, 1).square().sum(), inputs)
    assert counts == [5]
    for gradient, reference in zip(result, torch.autograd.grad(functional.conv2d(*inputs, 1, 1).square().sum(), inputs), strict=True):
        assert_close(gradient, reference, atol=1e-3, rtol=1e-5)


def test_a_zero_gradient_gives_zeros() -> None:
    inputs = random_inputs(3)
    for gradient, tensor in zip(gradients(sparse_gradient_conv(*inputs, 1), inputs, []), inputs, strict=True):
        assert torch.equal(gradient, torch.zeros_like(tensor))


def test_nan_is_propagated() -> None:
    inputs = random_inputs(3)
    out = sparse_gradient_conv(*inputs, 1)
    output_gradient = torch.zeros_like(out)
    output_gradient[0, 0, 3, 3] = torch.nan
    assert torch.autograd.grad(out, inputs, output_gradient)[1].isnan().any()


def test_under_autocast_bfloat16_output_and_float32_gradients() -> None:
    inputs = random_inputs(3)
    with torch.autocast("cpu", torch.bfloat16):
        out = sparse_gradient_conv(*inputs, 1)
    assert out.dtype == torch.bfloat16
    expected = gradients(functional.conv2d(*inputs, 1, 1), inputs, CELLS)
    for gradient, reference in zip(gradients(out, inputs, CELLS), expected, strict=True):
        assert gradient.dtype == torch.float32
        assert_close(gradient, reference, atol=0.02 * float(reference.abs().max()), rtol=0.02)


@pytest.mark.parametrize("needed", [0, 1, 2])
def test_only_needed_gradients(needed: int) -> None:
    inputs = random_inputs(3)
    leaves = tuple(tensor.detach().requires_grad_(index == needed) for index, tensor in enumerate(inputs))
    out, expected = sparse_gradient_conv(*leaves, 1), functional.conv2d(*leaves, 1, 1)
    output_gradient = torch.zeros_like(out)
    output_gradient[:, :, 4, 5] = 1
    (gradient,), (reference,) = (torch.autograd.grad(result, leaves[needed], output_gradient) for result in (out, expected))
    assert_close(gradient, reference, atol=1e-4, rtol=1e-5)
