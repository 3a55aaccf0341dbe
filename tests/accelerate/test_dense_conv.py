from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from detkit.accelerate import dense_conv
from detkit.accelerate.fast_gradients import FastGradients

GEOMETRIES: list[dict[str, Any]] = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": 1, "stride": 2, "bias": False},
    {"kernel_size": (1, 5), "padding": (0, 2), "dilation": (1, 2)},
]


@pytest.fixture
def convolutions(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Inputs of the convolutions with a fast weight gradient, on any processor."""
    seen: list[Tensor] = []

    def convolve(x: Tensor, *rest: Any) -> Tensor:
        seen.append(x)
        return original(x, *rest)

    original = dense_conv.convolve
    monkeypatch.setattr(dense_conv, "_is_affected", lambda: True)
    monkeypatch.setattr("detkit.accelerate.fast_gradients.convolve", convolve)
    return seen


def gradients(conv: nn.Conv2d, x: Tensor, fast: bool) -> tuple[Tensor, ...]:
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    if fast:
        with FastGradients():
            out = conv(x)
    else:
        out = conv(x)
    return out, *torch.autograd.grad((out * out).sum(), [x, *conv.parameters()])


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_gradients_equal_torchs(geometry: dict[str, Any], convolutions: list[Tensor]) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 24, **geometry).to(memory_format=torch.channels_last)
    x = torch.randn(2, 16, 13, 17).to(memory_format=torch.channels_last)
    expected, actual = gradients(conv, x, fast=False), gradients(conv, x, fast=True)
    assert len(convolutions) == 1
    for own, reference in zip(actual, expected, strict=True):
        assert_close(own, reference, rtol=1e-5, atol=1e-4)
    assert actual[2].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("needs", ["images only", "weight only"])
def test_only_what_is_needed_is_computed(needs: str, convolutions: list[Tensor]) -> None:
    conv = nn.Conv2d(16, 8, 3).to(memory_format=torch.channels_last)
    x = torch.randn(1, 16, 6, 7).to(memory_format=torch.channels_last).requires_grad_(needs == "images only")
    conv.requires_grad_(needs == "weight only")
    with FastGradients():
        conv(x).sum().backward()
    assert len(convolutions) == (needs == "weight only")  # torch's own gradient of the input is fast
    assert (x.grad is None, conv.weight.grad is None) == (needs == "weight only", needs == "images only")


@pytest.mark.parametrize(
    "case", ["contiguous", "few channels", "one by one", "grouped", "double", "padding by name", "no gradients", "bfloat16"]
)
def test_other_convolutions_are_left_to_torch(case: str, convolutions: list[Tensor]) -> None:
    channels, groups = (8 if case == "few channels" else 16), (2 if case == "grouped" else 1)
    conv = nn.Conv2d(channels, 16, 1 if case == "one by one" else 3, padding="same" if case == "padding by name" else 0, groups=groups)
    x = torch.randn(1, channels, 6, 7)
    if case != "contiguous":
        conv, x = conv.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if case == "double":
        conv, x = conv.double(), x.double()
    with FastGradients(), torch.set_grad_enabled(case != "no gradients"), torch.autocast("cpu", torch.bfloat16, enabled=case == "bfloat16"):
        conv(x)
    assert not convolutions
