from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from detkit.accelerate.scaled_conv import ScaledConv, absorb_frozen_norms
from detkit.layers import FrozenBatchNorm, freeze_norms


class Block(nn.Module):
    def __init__(self, bias: bool = False, groups: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, 2, 1, bias=bias, groups=groups), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 8, 1, bias=bias), nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))


def frozen_block(**options: object) -> nn.Module:
    torch.manual_seed(0)
    block = Block(**options)  # type: ignore[arg-type]
    for norm in (block.bn1, block.bn2):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.3, 2)
        nn.init.uniform_(norm.weight, -1, 2)
    return freeze_norms(block)


@pytest.mark.parametrize(("bias", "groups"), [(False, 1), (True, 1), (False, 4)])
def test_outputs_and_gradients_equal_separate_layers(bias: bool, groups: int) -> None:
    separate = frozen_block(bias=bias, groups=groups).double()
    absorbed = absorb_frozen_norms(copy.deepcopy(separate))
    x = torch.randn(2, 4, 9, 8, requires_grad=True, dtype=torch.float64)
    y = x.detach().clone().requires_grad_()
    torch.testing.assert_close(absorbed(y), separate(x))
    separate(x).pow(2).sum().backward()
    absorbed(y).pow(2).sum().backward()
    torch.testing.assert_close(y.grad, x.grad)
    for (name, parameter), (_, expected) in zip(absorbed.named_parameters(), separate.named_parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad, msg=name)


def test_exactly_equal_to_separate_layers_without_gradients() -> None:
    separate = frozen_block()
    absorbed = absorb_frozen_norms(copy.deepcopy(separate))
    x = torch.randn(2, 4, 9, 8)
    with torch.no_grad():
        assert torch.equal(absorbed(x), separate(x))


def test_names_and_values_are_kept_and_copies_are_independent() -> None:
    separate = frozen_block()
    absorbed = absorb_frozen_norms(copy.deepcopy(separate))
    assert isinstance(absorbed.conv1, ScaledConv)
    assert list(absorbed.state_dict()) == list(separate.state_dict())
    copied = copy.deepcopy(absorbed)
    x = torch.randn(1, 4, 6, 6)
    before = absorbed(x)
    copied.bn1.weight.mul_(3)
    assert torch.equal(absorbed(x), before)
    assert not torch.allclose(copied(x), before), "the copied convolution must use the copied norm"


def test_an_unpaired_norm_is_unchanged() -> None:
    network = nn.Sequential(FrozenBatchNorm(3), nn.Conv2d(3, 4, 1), nn.ReLU(), FrozenBatchNorm(4))
    network[0].weight.fill_(2)
    absorbed = absorb_frozen_norms(copy.deepcopy(network))
    x = torch.randn(1, 3, 2, 2)
    assert torch.equal(absorbed(x), network(x))
    assert not any(isinstance(part, ScaledConv) for part in absorbed.modules())
