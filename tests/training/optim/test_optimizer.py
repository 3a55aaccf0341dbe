from __future__ import annotations

import pytest
import torch
from torch import nn

from detkit.training.optim.optimizer import AdamWConfig, SGDConfig, build_optimizer, parameter_groups, set_lr


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2)


class Wrapped(nn.Module):
    """A neck around a backbone with stages, as in a detector."""

    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.layer1, self.layer2 = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)

        def stages(self) -> list[nn.Module]:
            return [self.stem, self.layer1, self.layer2]

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.backbone = self.Backbone()
        self.backbone.lateral = nn.Linear(2, 2, bias=False)


def test_norms_and_biases_do_not_decay_and_the_backbone_has_its_factor() -> None:
    net = Net()
    groups = parameter_groups(net, SGDConfig(backbone_lr_factor=0.1, weight_decay=0.5))
    seen = {id(p): (group["factor"], group["weight_decay"]) for group in groups for p in group["params"]}
    conv, norm = net.backbone
    assert seen == {
        id(conv.weight): (0.1, 0.5),
        id(conv.bias): (0.1, 0.0),
        id(norm.weight): (0.1, 0.0),
        id(norm.bias): (0.1, 0.0),
        id(net.head.weight): (1.0, 0.5),
        id(net.head.bias): (1.0, 0.0),
    }


def test_decay_of_norms_and_biases() -> None:
    groups = parameter_groups(Net(), SGDConfig(decay_norms_and_biases=True))
    assert [group["weight_decay"] for group in groups] == [1e-4]


def test_layer_decay_starts_at_the_neck() -> None:
    net = Wrapped()
    groups = parameter_groups(net, AdamWConfig(backbone_lr_factor=0.5, layer_decay=0.8))
    factors = {id(p): group["factor"] for group in groups for p in group["params"]}
    inner = net.backbone.backbone
    layer_factors = [factors[id(layer.weight)] for layer in (inner.stem, inner.layer1, inner.layer2, net.backbone.lateral)]  # type: ignore[union-attr]
    assert layer_factors == pytest.approx([0.5 * 0.8**3, 0.5 * 0.8**2, 0.5 * 0.8, 1.0])


def test_frozen_parameters_are_in_no_group() -> None:
    net = Net()
    net.backbone.requires_grad_(False)
    groups = parameter_groups(net, SGDConfig())
    assert sum(len(group["params"]) for group in groups) == 2


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SGDConfig(lr=0.02, reference_batch_size=16), 0.005),
        (AdamWConfig(lr=0.02, reference_batch_size=16), 0.01),
        (SGDConfig(lr=0.02, lr_scaling="none"), 0.02),
    ],
)
def test_the_learning_rate_scales_with_the_batch_size_and_is_described(config: SGDConfig | AdamWConfig, expected: float) -> None:
    optimizer = build_optimizer(Net(), config, 4)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)
    assert f"learning rate {expected:g} = 0.02" in config.describe_lr(4)
    assert "4/16" in config.describe_lr(4) or config.lr_scaling == "none"
    set_lr(optimizer, 0.5)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * expected)


def test_steps_equal_those_of_torch(tmp_path: object) -> None:
    torch.manual_seed(0)
    own, reference = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)
    reference.load_state_dict(own.state_dict())
    one = build_optimizer(own, SGDConfig(lr=0.1, lr_scaling="none", weight_decay=0.01), 4)
    two = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        inputs = torch.randn(4, 3)
        for net, optimizer in ((own, one), (reference, two)):
            optimizer.zero_grad()
            net(inputs).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(own.weight, reference.weight)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_that_starts_at_zero_makes_the_same_steps(nesterov: bool) -> None:
    torch.manual_seed(0)
    own, reference = Net(), Net()
    reference.load_state_dict(own.state_dict())
    config = SGDConfig(lr=0.1, lr_scaling="none", weight_decay=0.0, nesterov=nesterov)
    one = build_optimizer(own, config, 4)
    two = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9, nesterov=nesterov, fused=True)
    for _ in range(3):
        for net, optimizer in ((own, one), (reference, two)):
            optimizer.zero_grad()
            net.head(net.backbone(torch.ones(2, 4, 1, 1)[:, :3]).flatten(1)).square().sum().backward()
            optimizer.step()
    for a, b in zip(own.parameters(), reference.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_state_without_all_momentum_buffers_can_be_resumed() -> None:
    net = Net()
    optimizer = build_optimizer(net, SGDConfig(), 4)
    state = optimizer.state_dict()
    state["state"] = {}  # as states were written before momentum started at zero
    optimizer.load_state_dict(state)
    assert all("momentum_buffer" in optimizer.state[parameter] for parameter in net.parameters())
    net.head.weight.sum().backward()
    optimizer.step()
