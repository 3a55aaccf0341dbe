"""The page of backbones says what the registry says."""

from __future__ import annotations

import json
from pathlib import Path

import make_backbones

from detkit.backbones import BACKBONES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / "backbones.md").read_text("utf-8") == make_backbones.page(), "run: python docs/make_backbones.py"


def test_every_backbone_is_on_it_once() -> None:
    page = make_backbones.page()
    assert all(page.count(f"| `{name}` |") == 1 for name in BACKBONES.names())


def test_every_family_has_its_place_in_the_tree() -> None:
    assert [family for family in make_backbones.families() if family.replace("ResNet v2", "ResNet v1") not in make_backbones.TREE] == []


def test_speeds_are_of_backbones_that_are_there() -> None:
    speed = json.loads((DOCS / "backbones_speed.json").read_text("utf-8"))["speed"]
    assert set(speed) <= set(BACKBONES.names())
    assert speed["resnet18"] == 1.0
