from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from detkit.accelerate import winograd
from detkit.accelerate.fast_gradients import FastGradients

SHAPES = [(2, 8, 4, 14, 14), (1, 4, 8, 9, 30), (3, 4, 4, 7, 5), (1, 4, 4, 2, 3)]
"""Images, channels, outputs, height and width."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the inputs that are convolved by tiles."""
    seen: list[tuple[int, ...]] = []

    def convolve(x: Tensor, *rest: Any) -> Tensor:
        seen.append(tuple(x.shape))
        return winograd.convolve_by_tiles(x, *rest)

    monkeypatch.setattr("detkit.accelerate.fast_gradients.convolve_by_tiles", convolve)
    return seen


def with_gradients(out: Tensor, x: Tensor, conv: nn.Conv2d) -> tuple[Tensor, ...]:
    return out, *torch.autograd.grad((out * out.detach().cos()).sum(), [x, *conv.parameters()])


def by_tiles(conv: nn.Conv2d, x: Tensor) -> tuple[Tensor, ...]:
    return with_gradients(winograd.convolve_by_tiles(x, conv.weight, conv.bias), x, conv)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_and_gradients_equal_torchs(shape: tuple[int, ...], bias: bool, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    count, channels, outputs, *size = shape
    monkeypatch.setattr(winograd, "_TILES", 10)  # several parts
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    conv = nn.Conv2d(channels, outputs, 3, padding=1, bias=bias)
    x = torch.randn(count, channels, *size, requires_grad=True)
    expected = with_gradients(conv.double()(x.double()), x, conv)
    for actual, exact in zip(by_tiles(conv.float(), x), expected, strict=True):
        assert actual.dtype == torch.float32
        assert (actual - exact).abs().max() < 1e-5 * exact.abs().max()


def test_rounding_of_wide_maps_is_small() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(256, 256, 3, padding=1)
    x = torch.relu(torch.randn(2, 256, 14, 14)).requires_grad_()
    exact = with_gradients(conv.double()(x.double()), x, conv)
    for actual, value in zip(by_tiles(conv.float(), x), exact, strict=True):
        assert (actual - value).abs().max() < 3e-5 * value.abs().max()


def test_only_the_gradients_that_are_needed_are_computed() -> None:
    conv, x = nn.Conv2d(4, 4, 3, padding=1), torch.randn(1, 4, 8, 8)
    winograd.convolve_by_tiles(x, conv.weight, conv.bias).sum().backward()
    assert x.grad is None
    assert conv.weight.grad is not None


@pytest.mark.parametrize("size", [(16, 14, 14), (40, 7, 7), (1, 48, 44)], ids=str)
def test_wide_maps_are_trained_by_tiles(size: tuple[int, int, int], calls: list[tuple[int, ...]]) -> None:
    conv = nn.Conv2d(128, 128, 3, padding=1)
    x = torch.randn(size[0], 128, *size[1:])
    with FastGradients():
        conv(x)
    assert calls == [tuple(x.shape)]


@pytest.mark.parametrize(
    "case",
    [
        "few channels",
        "few tiles",
        "waste",
        "stride",
        "dilation",
        "grouped",
        "kernel",
        "double",
        "by name",
        "no gradients",
        "frozen",
        "bfloat16",
    ],
)
def test_other_convolutions_are_left_to_torch(case: str, calls: list[tuple[int, ...]]) -> None:
    channels = 64 if case == "few channels" else 128
    options: dict[str, Any] = {"stride": 2 if case == "stride" else 1, "groups": 2 if case == "grouped" else 1}
    padding: Any = {"by name": "same", "kernel": 2, "dilation": 2}.get(case, 1)
    options |= {"dilation": 2 if case == "dilation" else 1, "padding": padding}
    conv = nn.Conv2d(channels, 128, 5 if case == "kernel" else 3, **options)
    size = {"few tiles": (2, 14, 14), "waste": (64, 5, 5)}.get(case, (16, 14, 14))
    x = torch.randn(size[0], channels, *size[1:])
    if case == "double":
        conv, x = conv.double(), x.double()
    conv.requires_grad_(case != "frozen")
    with FastGradients(), torch.set_grad_enabled(case != "no gradients"), torch.autocast("cpu", torch.bfloat16, enabled=case == "bfloat16"):
        conv(x)
    assert not calls


def test_without_numba_torch_convolves(calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "_kernels", lambda: None)
    with FastGradients():
        nn.Conv2d(128, 128, 3, padding=1)(torch.randn(16, 128, 14, 14))
    assert not calls


@pytest.mark.parametrize("size", [(1, 48, 48), (1, 46, 48), (1, 48, 46), (2, 32, 32)], ids=str)
def test_what_follows_may_work_in_place(size: tuple[int, int, int], calls: list[tuple[int, ...]]) -> None:
    """The result is no view, of which autograd would forbid it: neither where nothing is cropped, nor where rows alone are."""
    images, height, width = size
    layers = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(inplace=True))
    x = torch.randn(images, 128, height, width, requires_grad=True)
    with FastGradients():
        out = layers(x)
        out.sum().backward()
    assert len(calls) == 1
    torch.testing.assert_close(out, layers(x), atol=1e-4, rtol=1e-4)
