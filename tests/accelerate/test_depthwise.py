from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from detkit.accelerate.depthwise import depthwise_conv
from detkit.accelerate.fast_gradients import FastGradients


def random_inputs(side: int = 5, size: tuple[int, int] = (17, 23), dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator, channels = torch.Generator().manual_seed(0), 20
    x = torch.randn((2, channels, *size), generator=generator).to(dtype).to(memory_format=torch.channels_last)
    weight = torch.randn((channels, 1, side, side), generator=generator).to(dtype)
    bias = torch.randn(channels, generator=generator).to(dtype)
    return x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()


def gradients(out: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad((out.float() * weights).sum(), inputs)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [1, 3, 5, 7])
@pytest.mark.parametrize("size", [(17, 23), (1, 2), (8, 16)])
def test_values_and_gradients_equal_torch(side: int, stride: int, size: tuple[int, int]) -> None:
    inputs = random_inputs(side=side, size=size)
    out = depthwise_conv(*inputs, stride, side // 2)
    expected = functional.conv2d(*inputs, stride, side // 2, 1, 20)
    torch.testing.assert_close(out, expected, atol=0, rtol=0)
    for gradient, reference in zip(gradients(out, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(gradient, reference, atol=1e-4, rtol=1e-5)


def test_padding_other_than_half_the_kernel() -> None:
    inputs = random_inputs(side=5)
    for padding in (0, 1, 4):
        expected = gradients(functional.conv2d(*inputs, 2, padding, 1, 20), inputs)
        for gradient, reference in zip(gradients(depthwise_conv(*inputs, 2, padding), inputs), expected, strict=True):
            torch.testing.assert_close(gradient, reference, atol=1e-4, rtol=1e-5)


def test_bfloat16_gradients_are_accurate() -> None:
    inputs = random_inputs(dtype=torch.bfloat16, size=(40, 60))
    exact = tuple(tensor.detach().double().requires_grad_() for tensor in inputs)
    exact_gradients = gradients(functional.conv2d(*exact, 2, 2, 1, 20), exact)
    out = depthwise_conv(*inputs, 2, 2)
    assert out.dtype == torch.bfloat16
    for gradient, reference in zip(gradients(out, inputs), exact_gradients, strict=True):
        assert gradient.dtype == torch.bfloat16
        torch.testing.assert_close(gradient.double(), reference, atol=0.02 * float(reference.abs().max()), rtol=0.02)


def test_the_mode_replaces_only_slow_convolutions() -> None:
    x, weight, bias = random_inputs()
    dense = torch.randn(4, 20, 5, 5, requires_grad=True)
    with FastGradients():
        assert type(functional.conv2d(x, weight, bias, (2, 2), (2, 2), (1, 1), 20).grad_fn).__name__ == "_DepthwiseBackward"
        small = random_inputs(side=3)
        assert type(functional.conv2d(*small, (1, 1), (1, 1), (1, 1), 20).grad_fn).__name__ == "ConvolutionBackward0"
        assert type(functional.conv2d(x.contiguous(), dense, None, (1, 1), (2, 2), (1, 1), 1).grad_fn).__name__ == "ConvolutionBackward0"
        dilated = functional.conv2d(x, weight, bias, (1, 1), (4, 4), (2, 2), 20)
        assert type(dilated.grad_fn).__name__ == "ConvolutionBackward0"
        with torch.no_grad():
            assert functional.conv2d(x, weight, bias, (2, 2), (2, 2), (1, 1), 20).grad_fn is None


@pytest.mark.parametrize("side", [3, 5])
def test_training_under_autocast_runs_in_float32_and_returns_bfloat16(side: int) -> None:
    inputs = random_inputs(side=side)
    arguments = ((2, 2), (side // 2, side // 2), (1, 1), 20)
    expected = functional.conv2d(*inputs, *arguments)
    with FastGradients(), torch.autocast("cpu", torch.bfloat16):
        out = functional.conv2d(*inputs, *arguments)
        with torch.no_grad():
            without_gradients = functional.conv2d(*inputs, *arguments)
    assert torch.equal(out, expected.bfloat16()), "the following layers stay in bfloat16"
    assert not torch.equal(without_gradients, out), "nothing changes without gradients"
    for gradient, reference in zip(gradients(out, inputs), gradients(expected, inputs), strict=True):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, reference, atol=0.02 * float(reference.abs().max()), rtol=0.02)


def test_dense_convolutions_stay_in_bfloat16() -> None:
    x = torch.randn(2, 20, 9, 9)
    weight = torch.randn(4, 20, 3, 3, requires_grad=True)
    with FastGradients(), torch.autocast("cpu", torch.bfloat16):
        out = functional.conv2d(x, weight, None, (1, 1), (1, 1), (1, 1), 1)
        assert torch.equal(out, functional.conv2d(x.bfloat16(), weight.bfloat16(), None, 1, 1))


def test_weights_get_gradients_if_the_input_needs_none() -> None:
    x, weight, _ = random_inputs()
    out = depthwise_conv(x.detach(), weight, None, 1, 2)
    torch.testing.assert_close(
        gradients(out, (weight,)), gradients(functional.conv2d(x, weight, None, 1, 2, 1, 20), (weight,)), atol=1e-4, rtol=1e-5
    )
