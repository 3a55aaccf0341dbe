"""A backbone of another package, as its author would write it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from detkit.backbones import (
    BACKBONES,
    Backbone,
    BackboneConfig,
    BackboneInfo,
    Level,
    SequentialBackbone,
    backbone_info,
    describe_backbones,
    load_backbone_weights,
)

BACKBONE_INFO = BackboneInfo(
    name="toy",
    family="Toy",
    year=2026,
    paper="none",
    levels=(Level("c1", 4, 2), Level("c2", 8, 4)),
    default_levels=("c2",),
    parameters=100,
    gflops=0.0,
    source="toys",
)


def toy(**options: Any) -> Backbone:
    body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.Flatten())
    return SequentialBackbone(body, BACKBONE_INFO, stages=(("0", "1", "2"), ("3",)), taps={"c1": "2", "c2": "3"}, **options)


toy.info = BACKBONE_INFO  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("toys")
    package.toy = toy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toys", package)
    monkeypatch.setitem(BACKBONES._table, "toy", "toys:toy")


def test_builds_by_name() -> None:
    backbone = BackboneConfig(name="toy", weights=None, levels=("c1", "c2")).build()
    assert [tuple(level.shape) for level in backbone(torch.randn(1, 3, 9, 8))] == [(1, 4, 5, 4), (1, 8, 3, 2)]
    assert backbone.unused_prefixes == ("4.",)
    assert backbone_info("toy") is BACKBONE_INFO


def test_is_listed_by_name_only() -> None:
    rows = {row["name"]: row for row in describe_backbones()}
    assert rows["toy"]["source"] == "another package"
    assert rows["toy"].keys() == rows["resnet50"].keys()


def test_default_weights_require_a_file() -> None:
    config = BackboneConfig(name="toy")
    with pytest.raises(ValueError, match=r"backbone toy: no published weights are known; pass a file .*weights=none trains from scratch"):
        load_backbone_weights(config.build(), config)
