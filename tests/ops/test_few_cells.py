from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from detkit.ops import few_cells
from detkit.ops.few_cells import few_cells_conv

Inputs = tuple[Tensor, Tensor, Tensor]


def made(side: int, dtype: torch.dtype = torch.float32, layout: torch.memory_format = torch.contiguous_format) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2, 6, 19, 23), generator=generator).to(dtype).to(memory_format=layout)
    weight = torch.randn((5, 6, side, side), generator=generator).to(dtype)
    return x.requires_grad_(), weight.requires_grad_(), torch.randn(5, generator=generator).to(dtype).requires_grad_()


def gradients(out: Tensor, inputs: Inputs, cells: list[tuple[int, int, int]]) -> tuple[Tensor, ...]:
    """Of a loss that looks at some cells, corners among them."""
    looked = torch.zeros_like(out)
    for place, (image, row, column) in enumerate(cells):
        looked[image, :, row, column] = torch.arange(1.0, 6.0) - place
    return torch.autograd.grad((out * looked).sum(), inputs)


FEW = [(0, 0, 0), (0, 18, 22), (1, 7, 8), (1, 7, 9), (1, 18, 0)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("side", "padding"), [(1, 0), (3, 1), (5, 2), (3, 0)])
def test_values_and_gradients_are_conv2ds(side: int, padding: int, layout: torch.memory_format) -> None:
    inputs = made(side, layout=layout)
    cells = [cell for cell in FEW if (side, padding) != (3, 0) or cell[1:] in {(7, 8), (7, 9), (0, 0)}]
    out, expected = few_cells_conv(*inputs, padding), functional.conv2d(*inputs, 1, padding)
    assert torch.equal(out, expected)
    for found, wanted in zip(gradients(out, inputs, cells), gradients(expected, inputs, cells), strict=True):
        assert_close(found, wanted, atol=1e-4, rtol=1e-5)


def test_few_cells_take_the_short_way_and_many_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    short = few_cells._gradients
    monkeypatch.setattr(few_cells, "_gradients", lambda *args: taken.append(len(args[3])) or short(*args))
    inputs = made(3)
    gradients(few_cells_conv(*inputs, 1), inputs, FEW)
    assert taken == [5]
    found = torch.autograd.grad(few_cells_conv(*inputs, 1).square().sum(), inputs)
    assert taken == [5]
    for mine, wanted in zip(found, torch.autograd.grad(functional.conv2d(*inputs, 1, 1).square().sum(), inputs), strict=True):
        assert_close(mine, wanted, atol=1e-3, rtol=1e-5)


def test_no_cell_at_all_gives_zeros() -> None:
    inputs = made(3)
    for gradient, of in zip(gradients(few_cells_conv(*inputs, 1), inputs, []), inputs, strict=True):
        assert torch.equal(gradient, torch.zeros_like(of))


def test_what_is_not_finite_is_not_lost() -> None:
    inputs = made(3)
    out = few_cells_conv(*inputs, 1)
    looked = torch.zeros_like(out)
    looked[0, 0, 3, 3] = torch.nan
    assert torch.autograd.grad(out, inputs, looked)[1].isnan().any()


def test_under_autocast_it_runs_in_bfloat16_and_gives_parameters_float32_gradients() -> None:
    inputs = made(3)
    with torch.autocast("cpu", torch.bfloat16):
        out = few_cells_conv(*inputs, 1)
    assert out.dtype == torch.bfloat16
    expected = gradients(functional.conv2d(*inputs, 1, 1), inputs, FEW)
    for found, wanted in zip(gradients(out, inputs, FEW), expected, strict=True):
        assert found.dtype == torch.float32
        assert_close(found, wanted, atol=0.02 * float(wanted.abs().max()), rtol=0.02)


@pytest.mark.parametrize("needed", [0, 1, 2])
def test_only_what_is_asked_for(needed: int) -> None:
    inputs = made(3)
    few = tuple(tensor.detach().requires_grad_(place == needed) for place, tensor in enumerate(inputs))
    out, expected = few_cells_conv(*few, 1), functional.conv2d(*few, 1, 1)
    looked = torch.zeros_like(out)
    looked[:, :, 4, 5] = 1
    (found,), (wanted,) = (torch.autograd.grad(result, few[needed], looked) for result in (out, expected))
    assert_close(found, wanted, atol=1e-4, rtol=1e-5)
