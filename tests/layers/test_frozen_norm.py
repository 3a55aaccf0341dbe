from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from detkit.layers import FrozenBatchNorm, freeze_norms


def fitted_norm(channels: int = 6) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels).eval()
    with torch.no_grad():
        norm.weight.uniform_(-1, 2)
        norm.bias.normal_()
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.1, 3)
    return norm


@pytest.mark.oracle("torchvision", "frozen batch norm", tolerance="equal")
@pytest.mark.parametrize("eps", [0.0, 1e-5, 1e-3])
def test_equals_torchvision_exactly(eps: float) -> None:
    norm = fitted_norm()
    reference = FrozenBatchNorm2d(6, eps=eps)
    reference.load_state_dict(norm.state_dict())
    frozen = FrozenBatchNorm.of(norm, eps)
    x = torch.randn(2, 6, 5, 7)
    assert torch.equal(frozen(x), reference(x))


@pytest.mark.parametrize("with_counter", [True, False])
def test_loads_the_state_of_a_batch_norm(with_counter: bool) -> None:
    norm = fitted_norm()
    state = norm.state_dict()
    if not with_counter:
        del state["num_batches_tracked"]
    frozen = FrozenBatchNorm(6)
    frozen.load_state_dict(state, strict=True)
    x = torch.randn(2, 6, 5, 7)
    torch.testing.assert_close(frozen(x), norm(x))
    assert set(frozen.state_dict()) == {"weight", "bias", "running_mean", "running_var"}
    assert ("num_batches_tracked" in state) is with_counter, "the given state must not be modified"


def test_its_state_loads_into_a_batch_norm() -> None:
    norm = fitted_norm()
    other = nn.BatchNorm2d(6).eval()
    other.load_state_dict(dict(FrozenBatchNorm.of(norm).state_dict()), strict=True)
    x = torch.randn(1, 6, 3, 3)
    assert torch.equal(other(x), norm(x))


def test_it_has_no_parameters_and_training_changes_nothing() -> None:
    frozen = FrozenBatchNorm.of(fitted_norm())
    before = copy.deepcopy(frozen.state_dict())
    frozen.train()(torch.randn(2, 6, 4, 4, requires_grad=True)).sum().backward()
    assert not list(frozen.parameters())
    assert all(torch.equal(before[name], value) for name, value in frozen.state_dict().items())


def test_keeps_bfloat16_and_computes_in_float32() -> None:
    frozen = FrozenBatchNorm.of(fitted_norm())
    x = torch.randn(1, 6, 4, 4).bfloat16()
    out = frozen(x)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, frozen(x.float()).bfloat16())


def test_freezing_a_network_keeps_names_and_outputs() -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 3), fitted_norm(), nn.Sequential(nn.ReLU(), fitted_norm())).eval()
    frozen = freeze_norms(copy.deepcopy(network))
    x = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(frozen(x), network(x))
    assert [name for name in network.state_dict() if "tracked" not in name] == list(frozen.state_dict())


def test_the_activation_of_timms_norms_is_kept() -> None:
    from timm.layers import BatchNormAct2d

    norm = BatchNormAct2d(6, act_layer=nn.ReLU6).eval()
    norm.running_mean.normal_()
    x = torch.randn(1, 6, 4, 4)
    torch.testing.assert_close(FrozenBatchNorm.of(norm)(x), norm(x))
