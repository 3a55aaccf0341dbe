from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import multi_scale_deformable_attention_v2

from detkit.ops import deformable
from detkit.ops.deformable import sample_deformable

Array = np.ndarray
SIZES, POINTS = ((5, 7), (3, 4), (1, 2)), (2, 3, 1)


def random_inputs(batch: int = 2, queries: int = 4, heads: int = 2, channels: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Values, locations of which some are outside of the image, and weights, in float64."""
    generator = torch.Generator().manual_seed(0)
    cells = sum(height * width for height, width in SIZES)
    values = torch.randn((batch, cells, heads, channels), generator=generator, dtype=torch.float64)
    locations = torch.rand((batch, queries, heads, sum(POINTS), 2), generator=generator, dtype=torch.float64) * 1.6 - 0.3
    weights = torch.rand((batch, queries, heads, sum(POINTS)), generator=generator, dtype=torch.float64)
    return values, locations, weights


def cell_weights(location: Array, size: tuple[int, int]) -> list[tuple[int, float, float, float]]:
    """Cells of a map around a location that are inside of it: index, bilinear weight, and the weight's derivatives by x and y."""
    height, width = size
    x, y = location[0] * width - 0.5, location[1] * height - 0.5
    cells = []
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                across, down = 1 - abs(x - column), 1 - abs(y - row)
                slopes = (1 if column > x else -1) * down * width, (1 if row > y else -1) * across * height
                cells.append((row * width + column, across * down, *slopes))
    return cells


def loop(values: Array, locations: Array, weights: Array, gradient: Array) -> tuple[Array, Array, Array, Array]:
    """The sums by a direct loop, and the gradients of ``(sums * gradient).sum()`` by values, locations and weights."""
    batch, queries, heads, _, _ = locations.shape
    out = np.zeros((batch, queries, heads, values.shape[3]))
    by_values, by_locations, by_weights = np.zeros_like(values), np.zeros_like(locations), np.zeros_like(weights)
    levels = [level for level, count in enumerate(POINTS) for _ in range(count)]
    starts = np.cumsum([0, *(height * width for height, width in SIZES)])
    for image, query, head in np.ndindex(batch, queries, heads):
        upstream = gradient.reshape(out.shape)[image, query, head]
        for point, level in enumerate(levels):
            at = (image, query, head, point)
            for index, share, by_x, by_y in cell_weights(locations[at], SIZES[level]):
                cell = values[image, starts[level] + index, head]
                out[image, query, head] += weights[at] * share * cell
                by_values[image, starts[level] + index, head] += weights[at] * share * upstream
                by_weights[at] += share * (cell @ upstream)
                by_locations[at] += weights[at] * (cell @ upstream) * np.array([by_x, by_y])
    return out.reshape(batch, queries, -1), by_values, by_locations, by_weights


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("dtype", "compiled"), [(torch.float64, False), (torch.float32, False), (torch.float32, True)])
def test_values_and_gradients_equal_a_direct_loop(batch: int, dtype: torch.dtype, compiled: bool) -> None:
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    values, locations, weights = (tensor.to(dtype).requires_grad_() for tensor in random_inputs(batch))
    out = sample_deformable(values, SIZES, locations, weights, POINTS, compiled=compiled)
    assert out.dtype == dtype
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    gradients = torch.autograd.grad(out, (values, locations, weights), upstream)
    expected = loop(*(tensor.detach().double().numpy() for tensor in (values, locations, weights, upstream)))
    for result, reference in zip((out, *gradients), expected, strict=True):
        assert_close(result.detach().double(), torch.from_numpy(reference), atol=tolerance, rtol=tolerance)


def test_numerical_gradients() -> None:
    inputs = tuple(tensor.requires_grad_() for tensor in random_inputs(1, queries=2))

    def sample(values: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return sample_deformable(values, SIZES, locations, weights, POINTS)

    assert torch.autograd.gradcheck(sample, inputs, fast_mode=True)


def test_a_location_at_the_center_of_a_cell_reads_this_cell() -> None:
    values, _, weights = random_inputs(1, queries=1)
    cells = [(4, 2), (0, 0), (1, 0), (2, 3), (0, 2), (0, 1)]  # row and column on the level of each point
    levels = [level for level, count in enumerate(POINTS) for _ in range(count)]
    centers = [((column + 0.5) / SIZES[i][1], (row + 0.5) / SIZES[i][0]) for (row, column), i in zip(cells, levels, strict=True)]
    locations = torch.tensor(centers, dtype=torch.float64).expand(1, 1, 2, -1, -1)
    rows = [(0, 35, 47)[i] + row * SIZES[i][1] + column for (row, column), i in zip(cells, levels, strict=True)]
    expected = torch.einsum("hp,phc->hc", weights[0, 0], values[0, rows])
    assert_close(sample_deformable(values, SIZES, locations, weights, POINTS).view(2, 3), expected)


@pytest.mark.oracle("transformers", "deformable attention, discrete sampling", tolerance="1e-5")
def test_discrete_sampling_equals_transformers() -> None:
    values, locations, weights = (tensor.float().requires_grad_() for tensor in random_inputs())
    out = sample_deformable(values, SIZES, locations, weights, POINTS, discrete=True)
    expected = multi_scale_deformable_attention_v2(values, SIZES, locations, weights, POINTS, "discrete")
    assert_close(out, expected)
    upstream = torch.randn_like(out)
    gradients = [torch.autograd.grad((result * upstream).sum(), (values, weights)) for result in (out, expected)]
    assert_close(gradients[0], gradients[1])
    assert torch.autograd.grad((out * upstream).sum(), locations, allow_unused=True) == (None,)


@pytest.mark.parametrize(("discrete", "compiled"), [(False, False), (False, True), (True, False)])
def test_no_queries_and_no_images(discrete: bool, compiled: bool) -> None:
    for batch, queries in ((2, 0), (0, 4)):
        inputs = tuple(tensor.float().requires_grad_() for tensor in random_inputs(batch, queries))
        out = sample_deformable(inputs[0], SIZES, *inputs[1:], POINTS, discrete=discrete, compiled=compiled)
        assert out.shape == (batch, queries, 6)
        out.sum().backward()  # type: ignore[no-untyped-call]
        assert inputs[0].grad is not None
        assert not inputs[0].grad.any()


@pytest.mark.slow
def test_kernels_are_loaded_only_where_they_are_used() -> None:
    code = (
        "import sys, torch; from detkit.ops.deformable import sample_deformable as sample\n"
        "values, locations, weights = torch.zeros(1, 4, 2, 3), torch.zeros(1, 5, 2, 1, 2), torch.zeros(1, 5, 2, 1)\n"
        "for values, options in ((values, {'compiled': False}), (values.double(), {}), (values, {'discrete': True}), (values, {})):\n"
        "    sample(values, [(2, 2)], locations, weights, (1,), **options)\n"
        "    print('numba' in sys.modules)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out == ["False", "False", "False", "True"]


def test_falls_back_to_torch_without_numba(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    values, locations, weights = (tensor.float() for tensor in random_inputs())
    expected = sample_deformable(values, SIZES, locations, weights, POINTS, compiled=False)
    monkeypatch.setitem(sys.modules, "detkit.accelerate.deformable", None)
    deformable._kernels.cache_clear()
    try:
        assert_close(sample_deformable(values, SIZES, locations, weights, POINTS), expected, atol=0, rtol=0)
    finally:
        deformable._kernels.cache_clear()
    assert "numba is not usable" in caplog.text


def test_gradients_of_gradients_need_torchs_operators() -> None:
    values, locations, weights = (tensor.float().requires_grad_() for tensor in random_inputs())
    for compiled in (False, True):
        out = sample_deformable(values, SIZES, locations, weights, POINTS, compiled=compiled)
        (gradient,) = torch.autograd.grad(out.square().sum(), weights, create_graph=True)
        if compiled:
            with pytest.raises(RuntimeError, match="once_differentiable"):
                gradient.sum().backward()
        else:
            assert torch.autograd.grad(gradient.sum(), values)[0].abs().sum() > 0


def test_shapes_that_do_not_match() -> None:
    values, locations, weights = (tensor.float() for tensor in random_inputs())
    with pytest.raises(ValueError, match=r"expected the cells of 3 levels, got sizes .*\(2, 2\)\] and 49 cells"):
        sample_deformable(values, [(5, 7), (3, 4), (2, 2)], locations, weights, POINTS)
    with pytest.raises(ValueError, match="expected the cells of 3 levels"):
        sample_deformable(values, SIZES[:2], locations, weights, POINTS)
    with pytest.raises(ValueError, match=r"expected weights of shape \(2, 4, 2, 5\) .*, got \(2, 4, 2, 6\) and \(2, 4, 2, 6, 2\)"):
        sample_deformable(values, SIZES, locations, weights, (2, 2, 1))
    for given in ((values[:1], locations, weights), (values, locations[:, 1:], weights), (values, locations, weights[..., :5])):
        with pytest.raises(ValueError, match="expected weights of shape"):
            sample_deformable(given[0], SIZES, *given[1:], POINTS)
