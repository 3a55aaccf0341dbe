"""Tests that every registered backbone must pass, for the members of each family that ``test_backbones`` leaves out, large ones included.

Each test covers one network, because building it takes most of the time. Shapes, stages, names and the parameters that get a gradient are
checked on the meta device, without values. Gradients, a training step, folding and the round trip of the state dict are checked with real
values for the smallest member of each family and all others of up to 30 million parameters: larger members have more of the same blocks.
Cells are measured once for all members of a family with the same kernels, strides and paddings.
"""

from __future__ import annotations

import math
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from test_backbones import LIGHT, NAMES, SIZES, SMALL, build, check_centers, check_training, without_randomness

from detkit.accelerate.fold import fold_batch_norms
from detkit.backbones import BackboneConfig, backbone_info

MAX_PARAMETERS = 30_000_000
"""Networks with more parameters are built on the meta device only, except the smallest of each family."""
OTHERS = sorted(set(NAMES) - set(LIGHT))
REAL = [name for name in OTHERS if name in SMALL or backbone_info(name).parameters <= MAX_PARAMETERS]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(SMALL)))
def test_shapes_stages_and_freezing(name: str) -> None:
    info = backbone_info(name)
    with torch.device("meta"):
        backbone = BackboneConfig(name=name, levels=tuple(level.name for level in info.levels), norm="train", frozen_stages=0).build()
        assert (backbone.channels, backbone.strides) == tuple(zip(*((level.channels, level.stride) for level in info.levels), strict=True))
        with torch.no_grad():
            for height, width in SIZES:
                maps = backbone.eval()(torch.empty(2, 3, height, width))
                expected = [(2, level.channels, math.ceil(height / level.stride), math.ceil(width / level.stride)) for level in info.levels]
                assert [tuple(level.shape) for level in maps] == expected
    staged = [id(parameter) for stage in backbone.stages() for parameter in stage.parameters()]
    published = {key: parameter for key, parameter in backbone.named_parameters() if not key.startswith(backbone.new_prefixes)}
    assert sorted(staged) == sorted(map(id, published.values()))
    count = len(backbone.stages())
    backbone.freeze(count)
    trainable = [key for key, parameter in backbone.train().named_parameters() if parameter.requires_grad]
    assert all(key.startswith(backbone.new_prefixes) for key in trainable), trainable
    assert not any(part.training for part in backbone.modules() if isinstance(part, nn.BatchNorm2d))
    with pytest.raises(ValueError, match=rf"{name}: expected 0 to {count} frozen stages"):
        backbone.freeze(count + 1)


@cache
def geometry(name: str) -> tuple[object, ...]:
    """Return all that moves the cells of a backbone: its levels, its layers that stride, and the kinds of all its layers."""
    info = backbone_info(name)
    with torch.device("meta"):
        parts = list(BackboneConfig(name=name, levels=tuple(level.name for level in info.levels)).build().modules())
    windows = [part for part in parts if hasattr(part, "kernel_size") and hasattr(part, "stride")]
    layers = [
        (type(part).__name__, *(str(getattr(part, key, None)) for key in ("kernel_size", "stride", "padding", "dilation")))
        for part in windows
    ]
    strided = tuple(layer for layer, part in zip(layers, windows, strict=True) if part.stride not in {1, (1, 1)})
    return tuple((level.name, level.stride, level.offset) for level in info.levels), strided, frozenset(layers), frozenset(map(type, parts))


@pytest.mark.parametrize("family", sorted({backbone_info(name).family for name in set(NAMES) - set(SMALL)}))
def test_cells_are_centered(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured on the smallest member of every geometry; ``test_backbones`` has the smallest of the family."""
    members = sorted((name for name in NAMES if backbone_info(name).family == family), key=lambda name: backbone_info(name).parameters)
    first = {geometry(name): name for name in reversed(members)}
    for name in set(first.values()) - {*SMALL, "resnet50", "mobilenet_v3_large"}:
        check_centers(name, monkeypatch)


@pytest.mark.parametrize("name", sorted(set(OTHERS) - set(REAL)))
def test_a_gradient_reaches_every_parameter_of_the_largest(name: str) -> None:
    with torch.device("meta"):
        backbone = without_randomness(BackboneConfig(name=name, norm="train", frozen_stages=2).build()).train()
        sum(level.pow(2).mean() for level in backbone(torch.empty(2, 3, 64, 64))).backward()
    frozen = {id(parameter) for stage in backbone.stages()[:2] for parameter in stage.parameters()}
    assert frozen
    for key, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) not in frozen), key


@pytest.mark.parametrize("name", REAL)
def test_training_folding_and_state_round_trip(name: str) -> None:
    backbone: Any = without_randomness(build(name, norm="train", frozen_stages=2))
    check_folding(backbone)
    check_round_trip(name, backbone)
    check_training(backbone)


def check_folding(backbone: nn.Module) -> None:
    """Folding norms into convolutions does not change the maps."""
    images = torch.randn(1, 3, 65, 50)
    with torch.no_grad():
        for expected, result in zip(backbone(images), fold_batch_norms(backbone)(images), strict=True):
            torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def check_round_trip(name: str, backbone: nn.Module) -> None:
    """The state dict restores the backbone completely."""
    with torch.device("meta"):
        other = BackboneConfig(name=name, norm="train", frozen_stages=2).build().eval()
    other.load_state_dict(backbone.state_dict(), strict=True, assign=True)
    images = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(backbone(images), other(images), strict=True))
