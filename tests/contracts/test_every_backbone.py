"""What holds for every backbone of the table, the largest too: the members of each family that ``test_backbones`` leaves out.

One test a member and one network a test, for most of the time goes into making them. Shapes, stages and names are looked at on the meta
device, which has no numbers; gradients, a step, folding and the round trip of the state are real for all up to 100 million parameters. Of
those beyond (VGG but its smallest, the largest ResNeXt, RegNet, EfficientNetV2, SENet, ConvNeXt, ViT and Wide ResNet) it is checked that a
gradient reaches every parameter.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from test_backbones import LIGHT, NAMES, SIZES, SMALL, built, check_centers, check_learning, without_chance

from detkit.backbones import BackboneConfig, facts_of
from detkit.layers import fold_batch_norms

MOST = 100_000_000
"""Parameters of the published network from which on no numbers are made."""
OTHERS = sorted(set(NAMES) - set(LIGHT))
REAL = [name for name in OTHERS if facts_of(name).parameters <= MOST]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(SMALL)))
def test_shapes_stages_and_freezing(name: str) -> None:
    facts = facts_of(name)
    with torch.device("meta"):
        backbone = BackboneConfig(name=name, levels=tuple(level.name for level in facts.levels), norm="train", frozen_stages=0).build()
        assert (backbone.channels, backbone.strides) == tuple(zip(*((level.channels, level.stride) for level in facts.levels), strict=True))
        with torch.no_grad():
            for high, wide in SIZES:
                maps = backbone.eval()(torch.empty(2, 3, high, wide))
                expected = [(2, level.channels, math.ceil(high / level.stride), math.ceil(wide / level.stride)) for level in facts.levels]
                assert [tuple(found.shape) for found in maps] == expected
    staged = [id(parameter) for stage in backbone.stages() for parameter in stage.parameters()]
    own = {key: parameter for key, parameter in backbone.named_parameters() if not key.startswith(backbone.fresh)}
    assert sorted(staged) == sorted(map(id, own.values()))
    count = len(backbone.stages())
    backbone.freeze(count)
    learning = [key for key, parameter in backbone.train().named_parameters() if parameter.requires_grad]
    assert all(key.startswith(backbone.fresh) for key in learning), learning
    assert not any(part.training for part in backbone.modules() if isinstance(part, nn.BatchNorm2d))
    with pytest.raises(ValueError, match=rf"{name}: expected 0 to {count} frozen stages"):
        backbone.freeze(count + 1)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(SMALL) - {"resnet50", "mobilenet_v3_large"}))
def test_cells_are_centered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_centers(name, monkeypatch)


@pytest.mark.parametrize("name", sorted(set(OTHERS) - set(REAL)))
def test_a_gradient_reaches_every_parameter_of_the_largest(name: str) -> None:
    with torch.device("meta"):
        backbone = without_chance(BackboneConfig(name=name, norm="train", frozen_stages=2).build()).train()
        sum(found.pow(2).mean() for found in backbone(torch.empty(2, 3, 64, 64))).backward()
    frozen = {id(parameter) for stage in backbone.stages()[:2] for parameter in stage.parameters()}
    assert frozen
    for key, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) not in frozen), key


@pytest.mark.parametrize("name", REAL)
def test_it_learns_where_it_may_folds_and_comes_back(name: str) -> None:
    backbone: Any = without_chance(built(name, norm="train", frozen_stages=2))
    check_folding(backbone)
    check_round_trip(name, backbone)
    check_learning(backbone)


def check_folding(backbone: nn.Module) -> None:
    """Norms folded into convolutions change nothing."""
    images = torch.randn(1, 3, 65, 50)
    with torch.no_grad():
        for want, found in zip(backbone(images), fold_batch_norms(backbone)(images), strict=True):
            torch.testing.assert_close(found, want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))


def check_round_trip(name: str, backbone: nn.Module) -> None:
    """The state dict is all there is to it."""
    with torch.device("meta"):
        other = BackboneConfig(name=name, norm="train", frozen_stages=2).build().eval()
    other.load_state_dict(backbone.state_dict(), strict=True, assign=True)
    images = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(backbone(images), other(images), strict=True))
