"""The strip of the family: its trainings are valid, and its captions state how long they took."""

from __future__ import annotations

import json
from typing import Any

import make_family_strip
import pytest
from make_family_strip import ALL, FACTS, PAGES, ROOT, TRAININGS

from detkit import zoo
from detkit.config import apply_overrides

ROWS: list[dict[str, Any]] = json.loads(FACTS.read_text("utf-8"))["rows"]


@pytest.mark.parametrize("name", PAGES)
def test_captions_are_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert text == make_family_strip.captioned(text, ROWS), "run: python docs/make_family_strip.py"
    assert "\n<!-- family -->" not in text, "a comment at the beginning of a line ends the paragraph"


def test_the_strip_shows_what_is_trained() -> None:
    assert [row["config"] for row in ROWS] == list(TRAININGS)
    assert all(row["images"] == 120 for row in ROWS)
    assert all(row["core_minutes"] < 4 for row in ROWS), "the captions say: a few core-minutes"


@pytest.mark.parametrize("name", TRAININGS)
def test_trainings_are_valid(name: str) -> None:
    config = apply_overrides(zoo.load(name), [*(() if name == "quickstart" else ALL), *TRAININGS[name]])
    assert config.training.budget is not None
    assert config.training.budget <= 3


def test_a_caption_lists_the_minutes() -> None:
    rows = [{"title": "R-CNN (2013)", "core_minutes": 1.04}, {"title": "D-FINE (2024)", "core_minutes": 2.96}]
    text = make_family_strip.captioned("a <!-- family -->old<!-- end of family --> b", rows)
    assert text == "a <!-- family -->R-CNN (2013) 1.0, D-FINE (2024) 3.0<!-- end of family --> b"
    with pytest.raises(ValueError, match="expected a table between"):
        make_family_strip.captioned("without comments", rows)
