"""Import path of the scripts that generate the docs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))


@pytest.fixture
def refilled() -> Callable[[Callable[[str], str], str], str]:
    """A check that updates a page: old content is replaced, a second update changes nothing, and missing comments are an error."""

    def check(page: Callable[[str], str], name: str) -> str:
        text = page(f"before\n<!-- {name} -->\nold\n<!-- end of {name} -->\nafter\n")
        assert "old" not in text
        assert text == page(text)
        with pytest.raises(ValueError, match="expected a table between"):
            page("without comments")
        return text

    return check
