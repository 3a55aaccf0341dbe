from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from detkit.accelerate.deformable import sample_on_cpu
from detkit.ops.deformable import sample_deformable

SIZES, POINTS = ((9, 6), (4, 5), (1, 3)), (4, 3, 2)
Inputs = tuple[Tensor, Tensor, Tensor]


def random_inputs(batch: int = 2, queries: int = 37, heads: int = 4, channels: int = 16) -> Inputs:
    """Values, locations of which some are outside of the image, and weights."""
    generator = torch.Generator().manual_seed(0)
    cells = sum(height * width for height, width in SIZES)
    values = torch.randn((batch, cells, heads, channels), generator=generator)
    locations = torch.rand((batch, queries, heads, sum(POINTS), 2), generator=generator) * 1.6 - 0.3
    weights = torch.randn((batch, queries, heads, sum(POINTS)), generator=generator).softmax(-1)
    return values, locations, weights


def with_gradients(inputs: Inputs, *, compiled: bool = True) -> tuple[Tensor, ...]:
    """The sums, and the gradients of all inputs."""
    values, locations, weights = (tensor.detach().requires_grad_() for tensor in inputs)
    out = sample_deformable(values, SIZES, locations, weights, POINTS, compiled=compiled)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    return out.detach(), *torch.autograd.grad(out, (values, locations, weights), upstream)


def check_equal(inputs: Inputs) -> None:
    for result, expected in zip(with_gradients(inputs), with_gradients(inputs, compiled=False), strict=True):
        assert result.dtype == expected.dtype
        assert_close(result, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 8, 14, 16, 32, 40])
def test_values_and_gradients_equal_torch(channels: int) -> None:
    check_equal(random_inputs(channels=channels))


@pytest.mark.parametrize("queries", [1, 15, 16, 17, 48])
def test_numbers_of_queries_around_those_of_a_block(queries: int) -> None:
    check_equal(random_inputs(queries=queries))


def test_locations_at_borders_and_far_outside() -> None:
    values, locations, weights = random_inputs(batch=1, queries=64)
    edges = torch.tensor([0.0, 1.0, -1e-3, 1.001, 0.5, -0.5, 1.5, 1e9, -1e9, 1e30])
    picked = torch.randint(0, len(edges), locations.shape, generator=torch.Generator().manual_seed(2))
    results, expected = (with_gradients((values, edges[picked], weights), compiled=compiled) for compiled in (True, False))
    # locations on the line between two cells may belong to either of them, so that only their gradient can differ
    for index in (0, 1, 3):
        assert_close(results[index], expected[index], atol=2e-5, rtol=1e-5)
    assert bool(results[2].isfinite().all())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_locations_that_are_not_finite_are_visible_in_the_result(value: float) -> None:
    values, locations, weights = random_inputs()
    locations[1, 20, 3, 5, 0] = value
    results, expected = (with_gradients((values, locations, weights), compiled=compiled)[0] for compiled in (True, False))
    assert bool(results[1, 20, 48:].isnan().all())
    assert_close(results, expected, equal_nan=True)


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    inputs = random_inputs(batch=1, queries=150, heads=6)
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(with_gradients(inputs))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(tensor, first) for tensor, first in zip(result, results[0], strict=True))


def test_bfloat16_values_are_sampled_in_float32() -> None:
    values, locations, weights = random_inputs()
    inputs = (values.bfloat16(), locations, weights.bfloat16())
    out, by_values, by_locations, by_weights = with_gradients(inputs)
    expected = with_gradients((inputs[0].float(), locations, inputs[2].float()))
    assert (out.dtype, by_values.dtype, by_locations.dtype, by_weights.dtype) == (torch.bfloat16,) * 2 + (torch.float32, torch.bfloat16)
    assert_close(out.float(), expected[0], atol=1e-5, rtol=2**-8)
    check = with_gradients(inputs, compiled=False)
    for result, reference in zip((out, by_values, by_weights), (check[0], check[1], check[3]), strict=True):
        assert_close(result, reference, atol=1e-4, rtol=2**-7)


def test_autocast_changes_neither_path() -> None:
    inputs = random_inputs()
    expected = with_gradients(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for compiled in (True, False):
            for result, reference in zip(with_gradients(inputs, compiled=compiled), expected, strict=True):
                assert_close(result, reference, atol=2e-5, rtol=1e-5)


def test_inputs_that_are_not_contiguous_and_stay_unchanged() -> None:
    values, locations, weights = random_inputs()
    strided = (values.transpose(1, 2).contiguous().transpose(1, 2), locations.flip(0).flip(0), weights.mT.contiguous().mT)
    before = [tensor.clone() for tensor in strided]
    for result, expected in zip(with_gradients(strided), with_gradients((values, locations, weights)), strict=True):
        assert torch.equal(result, expected)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(strided, before, strict=True))


def test_inference_mode_and_values_without_gradient() -> None:
    values, locations, weights = random_inputs()
    expected = sample_on_cpu(values, SIZES, locations, weights, POINTS)
    with torch.inference_mode():
        assert torch.equal(sample_deformable(values, SIZES, locations, weights, POINTS), expected)
    weights.requires_grad_()
    out = sample_deformable(values, SIZES, locations, weights, POINTS)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert weights.grad is not None
    assert values.grad is None
    assert_close(
        weights.grad, torch.autograd.grad(sample_deformable(values, SIZES, locations, weights, POINTS, compiled=False).sum(), weights)[0]
    )


class Sampler(torch.nn.Module):
    def forward(self, values: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return sample_deformable(values, SIZES, locations, weights, POINTS)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch deprecates the tracer that the export uses
def test_tracing_uses_torchs_operators() -> None:
    values, locations, weights = random_inputs(batch=1, queries=3)
    traced = torch.jit.trace(Sampler(), (values, locations, weights))  # type: ignore[no-untyped-call]
    assert "grid_sampler" in str(traced.graph)


@pytest.mark.slow
def test_export_uses_torchs_operators() -> None:
    values, locations, weights = random_inputs(batch=1, queries=3)
    exported = torch.export.export(Sampler(), (values, locations, weights))
    assert any("grid_sampler" in str(node.target) for node in exported.graph.nodes)
    assert_close(exported.module()(values, locations, weights), Sampler()(values, locations, weights))
