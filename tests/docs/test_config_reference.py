"""The config reference is what the config classes say."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Literal

import make_config_reference
import pytest
from pydantic import Field

from detkit import config_classes as configs
from detkit.config import Config
from detkit.config.field_docs import field_docs
from detkit.experiment import Experiment

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return make_config_reference


def test_the_page_is_up_to_date(generator: ModuleType) -> None:
    written = (DOCS / "configuration.md").read_text("utf-8")
    assert written == generator.reference(), "docs/configuration.md is old: run python docs/make_config_reference.py"


def test_every_class_that_config_files_can_name_is_in_it(generator: ModuleType) -> None:
    classes = {item for item in vars(configs).values() if isinstance(item, type) and issubclass(item, Config)}
    assert classes <= generator.config_places(Experiment).keys()


def test_every_key_says_what_it_does(generator: ModuleType) -> None:
    silent = [
        f"{owner.__name__}.{name}"
        for owner in generator.config_places(Experiment)
        for name in owner.model_fields
        if name != "kind" and not field_docs(owner).get(name)
    ]
    assert not silent, f"keys without a docstring: {', '.join(silent)}"
    assert all(owner.__doc__ for owner in generator.config_places(Experiment))


def test_every_link_has_its_heading(generator: ModuleType) -> None:
    import re

    text = generator.reference()
    headings = {line[3:].lower() for line in text.splitlines() if line.startswith("## ")}
    links = set(re.findall(r"\]\(#(\w+)\)", text))
    assert links
    assert links <= headings


class Inner(Config):
    """What lies within. More is not said here.

    Nor here.
    """

    kind: Literal["inner"] = "inner"
    number: float = Field(0.5, ge=0, lt=1)
    """How much of :class:`Outer` is ``kept``."""


class Outer(Config):
    """What lies round it."""

    inner: Inner | None = None
    """A group, or none."""
    sizes: tuple[int, ...] = (1,)
    """Some a|b numbers."""
    name: str
    """Must be given."""


def test_a_section_tells_type_default_bounds_and_meaning(generator: ModuleType) -> None:
    places = generator.config_places(Outer)
    assert places == {Outer: [], Inner: ["inner"]}
    outer, inner = (generator.section(owner, keys) for owner, keys in places.items())
    assert "| `inner` | [Inner](#inner) or `None` | `None` | A group, or none. |" in outer
    assert "| `sizes` | tuple of `int` | `(1,)` | Some a\\|b numbers. |" in outer
    assert "| `name` | `str` | `needed` | Must be given. |" in outer
    assert inner.startswith("## Inner\n\nWhat lies within. More is not said here.\n\nAs `inner`, of kind `inner`.\n")
    assert "| `number` | `float`, at least 0, below 1 | `0.5` | How much of `Outer` is `kept`. |" in inner
    assert "`kind`" not in inner.split("| key |")[1]


def test_a_default_group_tells_what_differs_from_its_class(generator: ModuleType) -> None:
    assert generator.value_text(Inner()) == "Inner()"
    assert generator.value_text((Inner(number=0.25),)) == "(Inner(number=0.25),)"
