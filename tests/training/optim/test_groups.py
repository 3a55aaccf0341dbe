from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from detkit.config import ConfigError
from detkit.training.optim.groups import ParameterGroupConfig
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig, build_optimizer, parameter_groups, set_lr


class Net(nn.Module):
    """A detector's parts, named as in RT-DETR."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
        self.attention = nn.MultiheadAttention(4, 1)


def _settings(net: nn.Module, config: SGDConfig | AdamWConfig) -> dict[str, tuple[float, float]]:
    """Return the learning rate factor and the weight decay of every parameter, by name."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    groups = parameter_groups(net, config)
    return {names[id(p)]: (group["factor"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_the_first_group_that_matches_sets_the_learning_rate_and_the_decay() -> None:
    config = AdamWConfig(
        weight_decay=0.5,
        backbone_lr_factor=0.1,
        groups=(
            ParameterGroupConfig(parameters="backbone.0.weight", lr_factor=3.0),
            ParameterGroupConfig(parameters="backbone", weight_decay=0.25),
            ParameterGroupConfig(parameters=r".*\.1\.", lr_factor=0.0, weight_decay=0.0),
        ),
    )
    assert _settings(Net(), config) == {
        "backbone.0.weight": (3.0, 0.5),
        "backbone.0.bias": (0.1, 0.25),
        "backbone.1.weight": (0.1, 0.25),
        "backbone.1.bias": (0.1, 0.25),
        "encoder.0.weight": (1.0, 0.5),
        "encoder.0.bias": (1.0, 0.0),
        "encoder.1.weight": (0.0, 0.0),
        "encoder.1.bias": (0.0, 0.0),
        "attention.in_proj_weight": (1.0, 0.5),
        "attention.in_proj_bias": (1.0, 0.0),
        "attention.out_proj.weight": (1.0, 0.5),
        "attention.out_proj.bias": (1.0, 0.0),
    }


def test_biases_decay_and_norms_do_not() -> None:
    settings = _settings(Net(), AdamWConfig(weight_decay=0.5, decay_biases=True))
    assert {name for name, (_, decay) in settings.items() if not decay} == {
        "backbone.1.weight",
        "backbone.1.bias",
        "encoder.1.weight",
        "encoder.1.bias",
    }


def test_steps_and_schedule_follow_the_factor() -> None:
    torch.manual_seed(0)
    own, reference = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)), nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    reference.load_state_dict(own.state_dict())
    groups = (ParameterGroupConfig(parameters="0", lr_factor=0.25),)
    one = build_optimizer(own, SGDConfig(lr=0.1, lr_scaling="none", weight_decay=0.0, groups=groups), 4)
    two = torch.optim.SGD(
        [{"params": reference[0].parameters(), "lr": 0.025 / 2}, {"params": reference[1].parameters(), "lr": 0.1 / 2}], momentum=0.9
    )
    set_lr(one, 0.5)
    for _ in range(3):
        inputs = torch.randn(4, 3)
        for net, optimizer in ((own, one), (reference, two)):
            optimizer.zero_grad()
            net(inputs).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(list(own.parameters()), list(reference.parameters()))


@pytest.mark.parametrize(
    ("pattern", "clause"),
    [
        ("encoder.0.wieght", "did you mean 'encoder.0.weight'?"),
        ("backbon3", "did you mean 'backbone'?"),
        ("x", "expected one of: attention, backbone, encoder"),
    ],
)
def test_a_pattern_that_matches_nothing(pattern: str, clause: str) -> None:
    with pytest.raises(ValueError, match=r"optimizer\.groups: expected a pattern that matches parameter names") as error:
        parameter_groups(Net(), SGDConfig(groups=(ParameterGroupConfig(parameters=pattern, lr_factor=0.1),)))
    assert str(error.value).endswith(f"got {pattern!r}, which matches none: {clause}")


def test_a_frozen_match_is_no_error_and_is_not_trained() -> None:
    net = Net()
    net.encoder.requires_grad_(False)
    settings = _settings(net, SGDConfig(groups=(ParameterGroupConfig(parameters="encoder", lr_factor=0.1),)))
    assert not any(name.startswith("encoder") for name in settings)


def test_invalid_groups() -> None:
    with pytest.raises(ConfigError, match="expected a regular expression, got '\\(neck': missing"):
        ParameterGroupConfig(parameters="(neck", lr_factor=1.0)
    with pytest.raises(ConfigError, match="expected lr_factor, weight_decay or both, got neither"):
        ParameterGroupConfig(parameters="neck")


def test_groups_are_logged_and_survive_json(caplog: pytest.LogCaptureFixture) -> None:
    config = AdamWConfig(groups=(ParameterGroupConfig(parameters="encoder", lr_factor=0.1),))
    assert AdamWConfig.from_json(config.to_json()) == config
    with caplog.at_level(logging.INFO, "detkit.training"):
        parameter_groups(Net(), config)
    assert caplog.messages == ["parameters 'encoder': 4, learning rate factor 0.1, weight decay None"]
