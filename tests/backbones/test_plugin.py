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
    BackboneFacts,
    ChainBackbone,
    Level,
    describe,
    facts_of,
    load_backbone_weights,
)

FACTS = BackboneFacts(
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


def toy(**choices: Any) -> Backbone:
    body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.Flatten())
    return ChainBackbone(body, FACTS, stages=(("0", "1", "2"), ("3",)), taps={"c1": "2", "c2": "3"}, **choices)


toy.facts = FACTS  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("toys")
    package.toy = toy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toys", package)
    monkeypatch.setitem(BACKBONES._table, "toy", "toys:toy")


def test_builds_by_name() -> None:
    backbone = BackboneConfig(name="toy", weights=None, levels=("c1", "c2")).build()
    assert [tuple(found.shape) for found in backbone(torch.randn(1, 3, 9, 8))] == [(1, 4, 5, 4), (1, 8, 3, 2)]
    assert backbone.left_out == ("4.",)
    assert facts_of("toy") is FACTS


def test_is_listed_by_name_alone() -> None:
    rows = {row["name"]: row for row in describe()}
    assert rows["toy"]["source"] == "another package"
    assert rows["toy"].keys() == rows["resnet50"].keys()


def test_without_published_weights_a_file_is_asked_for() -> None:
    config = BackboneConfig(name="toy")
    with pytest.raises(ValueError, match=r"backbone toy: no published weights are known; give a file .*weights=none trains from scratch"):
        load_backbone_weights(config.build(), config)
