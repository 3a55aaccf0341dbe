"""docs/backbones.md agrees with the registry."""

from __future__ import annotations

import json
from pathlib import Path

import make_backbones

from detkit.backbones import BACKBONES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_page_is_up_to_date() -> None:
    assert (DOCS / "backbones.md").read_text("utf-8") == make_backbones.page(), "run: python docs/make_backbones.py"


def test_every_backbone_is_listed_once() -> None:
    page = make_backbones.page()
    assert all(page.count(f"| `{name}` |") == 1 for name in BACKBONES.names())


def test_every_family_is_in_the_tree() -> None:
    assert [family for family in make_backbones.families() if family.replace("ResNet v2", "ResNet v1") not in make_backbones.TREE] == []


def test_speeds_are_of_existing_backbones() -> None:
    speed = json.loads((DOCS / "backbones_speed.json").read_text("utf-8"))["speed"]
    assert set(speed) <= set(BACKBONES.names())
    assert speed["resnet18"] == 1.0
