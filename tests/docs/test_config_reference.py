"""docs/configuration.md agrees with the config classes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Literal

import make_config_reference
import pytest
from pydantic import Field

from detkit import config_classes
from detkit.config import Config
from detkit.config.field_docs import field_docs
from detkit.experiment import Experiment

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return make_config_reference


def test_page_is_up_to_date(generator: ModuleType) -> None:
    written = (DOCS / "configuration.md").read_text("utf-8")
    assert written == generator.reference(), "docs/configuration.md is outdated: run python docs/make_config_reference.py"


def test_every_config_class_is_documented(generator: ModuleType) -> None:
    classes = {item for item in vars(config_classes).values() if isinstance(item, type) and issubclass(item, Config)}
    assert classes <= generator.config_usages(Experiment).keys()


def test_every_key_has_a_description(generator: ModuleType) -> None:
    missing = [
        f"{owner.__name__}.{name}"
        for owner in generator.config_usages(Experiment)
        for name in owner.model_fields
        if name != "kind" and not field_docs(owner).get(name)
    ]
    assert not missing, f"keys without a docstring: {', '.join(missing)}"
    assert all(owner.__doc__ for owner in generator.config_usages(Experiment))


def test_every_link_has_a_heading(generator: ModuleType) -> None:
    import re

    text = generator.reference()
    headings = {line[3:].lower() for line in text.splitlines() if line.startswith("## ")}
    links = set(re.findall(r"\]\(#(\w+)\)", text))
    assert links
    assert links <= headings


class Inner(Config):
    """An inner group. This sentence belongs to the first paragraph.

    This one does not.
    """

    kind: Literal["inner"] = "inner"
    number: float = Field(0.5, ge=0, lt=1)
    """Fraction of :class:`Outer` that is ``used``."""


class Outer(Config):
    """An outer group."""

    inner: Inner | None = None
    """A group, or none."""
    sizes: tuple[int, ...] = (1,)
    """Some a|b numbers."""
    name: str
    """A required key."""


def test_section_has_type_default_bounds_and_description(generator: ModuleType) -> None:
    usages = generator.config_usages(Outer)
    assert usages == {Outer: [], Inner: ["inner"]}
    outer, inner = (generator.section(owner, keys) for owner, keys in usages.items())
    assert "| `inner` | [Inner](#inner) or `None` | `None` | A group, or none. |" in outer
    assert "| `sizes` | tuple of `int` | `(1,)` | Some a\\|b numbers. |" in outer
    assert "| `name` | `str` | `required` | A required key. |" in outer
    assert inner.startswith("## Inner\n\nAn inner group. This sentence belongs to the first paragraph.\n\nAs `inner`, of kind `inner`.\n")
    assert "| `number` | `float`, at least 0, below 1 | `0.5` | Fraction of `Outer` that is `used`. |" in inner
    assert "`kind`" not in inner.split("| key |")[1]


def test_default_group_shows_only_changed_keys(generator: ModuleType) -> None:
    assert generator.value_text(Inner()) == "Inner()"
    assert generator.value_text((Inner(number=0.25),)) == "(Inner(number=0.25),)"
