"""The way to the scripts that write the docs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))


@pytest.fixture
def refilled() -> Callable[[Callable[[str], str], str], str]:
    """Fills a page between the marks of a name: what was there goes, a second time changes nothing, and without marks it is refused."""

    def made(page: Callable[[str], str], name: str) -> str:
        text = page(f"before\n<!-- {name} -->\nold\n<!-- end of {name} -->\nafter\n")
        assert "old" not in text
        assert text == page(text)
        with pytest.raises(ValueError, match="expected a table between"):
            page("without marks")
        return text

    return made
