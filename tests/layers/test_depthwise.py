from __future__ import annotations

import pytest
import torch
from torch import nn

from detkit.layers import SteppingOutConv, step_out_depthwise


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), nn.Conv2d(8, 8, 1, groups=4))


def test_only_depthwise_convolutions_are_exchanged() -> None:
    plain = network()
    numbers = {name: id(parameter) for name, parameter in plain.named_parameters()}
    changed = step_out_depthwise(plain)
    assert [type(part) for part in changed] == [nn.Conv2d, SteppingOutConv, nn.Conv2d]
    assert {name: id(parameter) for name, parameter in changed.named_parameters()} == numbers


def test_without_autocast_nothing_changes() -> None:
    x = torch.randn(2, 3, 9, 9)
    assert torch.equal(step_out_depthwise(network())(x), network()(x))


@pytest.mark.parametrize("grad", [True, False])
def test_the_arithmetic_under_autocast(grad: bool) -> None:
    depthwise = step_out_depthwise(network())[1]
    x = torch.randn(2, 8, 9, 9)
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16):
        found = depthwise(x)
    assert found.dtype == torch.bfloat16, "what follows stays in bfloat16"
    with torch.no_grad():
        exact = depthwise(x).bfloat16()
    assert torch.equal(found, exact) == grad, "float32 while it is trained, bfloat16 otherwise"


def test_gradients_under_autocast() -> None:
    depthwise = step_out_depthwise(network())
    x = torch.randn(2, 3, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        depthwise(x).float().pow(2).sum().backward()
    rough = depthwise[1].weight.grad.clone()
    depthwise.zero_grad()
    depthwise(x).pow(2).sum().backward()
    torch.testing.assert_close(rough, depthwise[1].weight.grad, rtol=0.1, atol=0.1 * float(rough.abs().max()))
