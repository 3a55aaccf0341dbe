from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign, roi_align

from detkit.accelerate.pooling_cpu import pool_on_cpu
from detkit.ops import pooling
from detkit.ops.pooling import box_levels, multilevel_roi_align

STRIDES = (4.0, 8.0, 16.0, 32.0)


def pyramid(images: int = 2, channels: int = 6, size: tuple[int, int] = (96, 128), seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(images, channels, size[0] // int(s), size[1] // int(s)) for s in STRIDES]
    return tuple(torch.randn(shape, generator=generator).to(memory_format=torch.channels_last) for shape in shapes)


def random_boxes(count: int = 40, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand((count, 2), generator=generator) * torch.tensor([120.0, 90.0])
    return torch.cat([corner, corner + torch.rand((count, 2), generator=generator) * 60 + 0.5], 1)


UNUSUAL = torch.tensor(
    [
        [0, 0, 128, 96],  # the whole image
        [-20, -30, 40, 50],  # exceeds the top left
        [100, 70, 170, 150],  # exceeds the bottom right
        [-200, -200, -150, -160],  # entirely outside
        [500, 400, 600, 480],
        [10, 10, 10, 10],  # a point
        [10, 10, 10, 60],  # a line
        [60, 40, 20, 10],  # swapped corners
        [50.5, 30.25, 50.75, 30.5],  # smaller than a cell
        [-1000, -1000, 1000, 1000],
        [124, 92, 128, 96],  # the last cell
        [127.999, 0, 132, 96],
        [-4, -4, 0, 0],
    ],
    dtype=torch.float32,
)


def with_gradients(maps: tuple[Tensor, ...], boxes: list[Tensor], **options: object) -> tuple[Tensor, tuple[Tensor, ...]]:
    leaves = tuple(m.detach().clone(memory_format=torch.preserve_format).requires_grad_() for m in maps)
    pooled = multilevel_roi_align(leaves, boxes, strides=STRIDES, **options)  # type: ignore[arg-type]
    weights = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(3)).to(pooled.dtype)
    return pooled.detach(), torch.autograd.grad(pooled, leaves, weights)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [2, 1, 0])
@pytest.mark.parametrize("boxes", [random_boxes(), UNUSUAL], ids=["ordinary", "unusual"])
def test_values_and_gradients_equal_torchvisions_operator(boxes: Tensor, ratio: int, aligned: bool) -> None:
    options = {"output_size": 7, "sampling_ratio": ratio, "aligned": aligned, "canonical_size": 40, "canonical_level": 3}
    split = [boxes[: len(boxes) // 3], boxes[len(boxes) // 3 :]]
    expected, expected_gradients = with_gradients(pyramid(), split, compiled=False, **options)
    pooled, gradients = with_gradients(pyramid(), split, **options)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=2e-5, rtol=1e-5)


@pytest.mark.oracle("torchvision", "RoIAlign over levels", tolerance="equal; compiled path 1e-4")
def test_both_paths_equal_torchvisions_multi_scale_pooling() -> None:
    boxes, maps = [random_boxes(30), random_boxes(20, seed=5) * 8], pyramid(size=(768, 1024))
    reference = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    expected = reference({str(i): level for i, level in enumerate(maps)}, boxes, [(768, 1024)] * 2)
    options = {"output_size": 7, "sampling_ratio": 2, "strides": STRIDES}
    torch.testing.assert_close(multilevel_roi_align(maps, boxes, compiled=False, **options), expected, atol=0, rtol=0)  # type: ignore[arg-type]
    torch.testing.assert_close(multilevel_roi_align(maps, boxes, **options), expected, atol=1e-4, rtol=1e-5)  # type: ignore[arg-type]


def test_levels_equal_torchvision_also_at_thresholds() -> None:
    sides = torch.tensor([1.0, 55, 56, 111.99, 112, 223.99, 224, 447.9, 448, 5000])
    boxes = torch.stack([torch.zeros(10), torch.zeros(10), sides, sides], 1)
    assert box_levels(boxes, STRIDES).tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert box_levels(boxes, (16.0,)).tolist() == [0] * 10


@pytest.mark.parametrize("counts", [(0, 0), (0, 5), (5, 0)])
def test_images_without_boxes(counts: tuple[int, int]) -> None:
    boxes = [random_boxes(counts[0]), random_boxes(counts[1])]
    pooled, gradients = with_gradients(pyramid(), boxes, output_size=7, sampling_ratio=2)
    assert pooled.shape == (sum(counts), 6, 7, 7)
    assert [tuple(g.shape) for g in gradients] == [tuple(m.shape) for m in pyramid()]
    assert all(bool(g[i].eq(0).all()) for g in gradients for i in (0, 1) if counts[i] == 0)


def test_bfloat16_maps_round_once() -> None:
    maps, boxes = tuple(level.bfloat16() for level in pyramid(channels=20)), [random_boxes(20), UNUSUAL]
    options = {"output_size": 7, "sampling_ratio": 2}
    expected, expected_gradients = with_gradients(maps, boxes, compiled=False, **options)
    pooled, gradients = with_gradients(maps, boxes, **options)
    assert pooled.dtype == gradients[0].dtype == torch.bfloat16
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=2**-7)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-4, rtol=2**-7)


@pytest.mark.oracle("torchvision", "RoIAlign on one level", tolerance="1e-5")
def test_contiguous_maps_and_maps_of_one_level() -> None:
    level, boxes = pyramid()[1], [random_boxes(10), random_boxes(3)]
    rows = torch.cat([torch.cat([torch.full((len(b), 1), float(i)), b], 1) for i, b in enumerate(boxes)])
    expected = roi_align(level, rows, 14, 1 / 8, 2, True)
    pooled = multilevel_roi_align((level.contiguous(),), boxes, output_size=14, sampling_ratio=2, strides=(8.0,), aligned=True)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    options = {"output_size": 7, "sampling_ratio": 2, "canonical_size": 40, "canonical_level": 3}
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(with_gradients(pyramid(channels=40), [random_boxes(), random_boxes(seed=2)], **options))
    finally:
        torch.set_num_threads(before)
    for pooled, gradients in results[1:]:
        assert torch.equal(pooled, results[0][0])
        assert all(torch.equal(a, b) for a, b in zip(gradients, results[0][1], strict=True))


def test_non_finite_boxes_terminate_and_stay_in_bounds() -> None:
    boxes = torch.tensor([[float("nan")] * 4, [0, 0, float("inf"), 5], [1e30, 1e30, 3e30, 3e30], [-1e20, 0, 1e20, 10]])
    for ratio in (0, 2):
        regions, rows = torch.cat([torch.zeros(4, 1), boxes], 1), list(torch.arange(4).split(1))
        pooled = pool_on_cpu(pyramid(1), regions, rows, cells=7, ratio=ratio, strides=STRIDES, aligned=False)
        assert bool(torch.isfinite(pooled).all())


def test_only_maps_that_require_gradients_get_them() -> None:
    maps = pyramid()
    maps[1].requires_grad_()
    boxes = [random_boxes(10), random_boxes(10, seed=4)]
    pooled = multilevel_roi_align(maps, boxes, output_size=7, sampling_ratio=2, strides=STRIDES, canonical_size=40, canonical_level=3)
    pooled.sum().backward()  # type: ignore[no-untyped-call]
    assert maps[1].grad is not None
    assert maps[0].grad is None


def test_falls_back_to_torchvision_without_numba(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "detkit.accelerate.pooling_cpu", None)
    pooling._kernels.cache_clear()
    try:
        pooled = multilevel_roi_align(pyramid(), [random_boxes(3), random_boxes(3)], output_size=7, sampling_ratio=2, strides=STRIDES)
    finally:
        pooling._kernels.cache_clear()
    assert pooled.shape == (6, 6, 7, 7)
    assert "numba is not usable" in caplog.text


def test_kernels_are_loaded_only_if_asked_for() -> None:
    code = (
        "import sys, torch; from detkit.ops.pooling import kernels_are_loaded, multilevel_roi_align as pool\n"
        "for compiled in (False, False, True):\n"
        "    pool((torch.zeros(1, 2, 8, 8),), [torch.ones(1, 4)], output_size=2, sampling_ratio=1, strides=(4.0,), compiled=compiled)\n"
        "    print('numba' in sys.modules, kernels_are_loaded())\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out == ["False False", "False False", "True True"]


def test_wrong_numbers_of_strides_or_images() -> None:
    with pytest.raises(ValueError, match="got 2 strides for 4 maps"):
        multilevel_roi_align(pyramid(), [random_boxes()] * 2, output_size=7, sampling_ratio=2, strides=(4.0, 8.0))
    with pytest.raises(ValueError, match="got 1 for 2 images"):
        multilevel_roi_align(pyramid(), [random_boxes()], output_size=7, sampling_ratio=2, strides=STRIDES)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_boxes_of_any_dtype_give_the_same_by_both_ways(dtype: torch.dtype, compiled: bool) -> None:
    maps, boxes = pyramid(), [random_boxes(20).round(), random_boxes(7, seed=2).round()]
    expected = multilevel_roi_align(maps, boxes, output_size=7, sampling_ratio=2, strides=STRIDES, compiled=compiled)
    given = [rows.to(dtype) for rows in boxes]
    pooled = multilevel_roi_align(maps, given, output_size=7, sampling_ratio=2, strides=STRIDES, compiled=compiled)
    assert pooled.dtype == torch.float32
    single = multilevel_roi_align(
        maps, [rows.float() for rows in given], output_size=7, sampling_ratio=2, strides=STRIDES, compiled=compiled
    )
    torch.testing.assert_close(pooled, single, rtol=0, atol=0)
    if dtype != torch.bfloat16:
        torch.testing.assert_close(pooled, expected)


@pytest.mark.parametrize("compiled", [False, True])
def test_an_empty_batch(compiled: bool) -> None:
    maps = tuple(level[:0] for level in pyramid())
    pooled = multilevel_roi_align(maps, [], output_size=7, sampling_ratio=2, strides=STRIDES, compiled=compiled)
    assert pooled.shape == (0, 6, 7, 7)
    none = multilevel_roi_align(pyramid(), [torch.zeros(0, 4)] * 2, output_size=7, sampling_ratio=2, strides=STRIDES, compiled=compiled)
    assert none.shape == (0, 6, 7, 7)
