from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter

from detkit.backbones import BackboneConfig
from detkit.necks import NeckConfig, SingleLevelConfig


def test_last_map_without_projection() -> None:
    backbone = BackboneConfig(name="resnet18", levels=("c4",)).build().eval()
    neck = SingleLevelConfig().build(backbone).eval()
    images = torch.randn(1, 3, 65, 48)
    with torch.no_grad():
        (output,), (expected,) = neck(images), backbone(images)
    assert torch.equal(output, expected)
    assert (neck.channels, neck.strides, neck.backbone) == ((256,), (16,), backbone)


def test_projection_changes_the_channels() -> None:
    backbone = BackboneConfig(name="resnet18", levels=("c5",)).build()
    neck = SingleLevelConfig(level="c5", out_channels=32).build(backbone)
    (output,) = neck(torch.randn(1, 3, 64, 64))
    assert tuple(output.shape) == (1, 32, 2, 2)
    assert neck.channels == (32,)


@pytest.mark.parametrize(
    ("level", "message"),
    [("c6", "expected one of the levels c4, c5, got 'c6'"), ("c4", r"expected the backbone's last level \(c5\), got c4")],
)
def test_invalid_levels_are_rejected(level: str, message: str) -> None:
    backbone = BackboneConfig(name="resnet18", levels=("c4", "c5")).build()
    with pytest.raises(ValueError, match=rf"neck single: {message}.*set model\.backbone\.levels={level}"):
        SingleLevelConfig(level=level).build(backbone)


def test_round_trip() -> None:
    config = SingleLevelConfig(level="c4", out_channels=256)
    assert TypeAdapter(NeckConfig).validate_json(config.to_json()) == config
