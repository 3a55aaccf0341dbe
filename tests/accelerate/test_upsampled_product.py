from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.accelerate.upsampled_product import upsampled_product


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_equal_to_the_layers(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, kernels = nn.ConvTranspose2d(6, 5, 2, 2), torch.randn(3, 5, requires_grad=True)
    nn.init.constant_(layer.bias, 2.0)  # far from 0, where rounding could change which values ReLU keeps
    layer.bias.data[3:] *= -1
    x = torch.randn(3, 6, 4, 7).to(memory_format=torch.channels_last).requires_grad_()
    inputs = [x, kernels, *layer.parameters()]
    factors = torch.randn(3, 8, 14)

    def results(values: Tensor) -> list[Tensor]:
        return [values, *torch.autograd.grad((values * factors).sum(), inputs)]

    expected = results((functional.relu(layer(x)) * kernels[:, :, None, None]).sum(1))
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        values = upsampled_product(x, layer.weight, layer.bias, kernels)
    assert values.dtype == torch.float32
    tolerance = 1e-6 if dtype == torch.float32 else 0.02
    for actual, exact in zip(results(values), expected, strict=True):
        assert (actual - exact).norm() < tolerance * exact.norm()
