"""Import path of the scripts that generate the docs, and of the module that these tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "docs"), str(Path(__file__).resolve().parent)]


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
