"""The guide to the code names files, functions and exceptions that exist, and its diagram is up to date."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "tests")]

import make_house_diagram  # noqa: E402
from test_architecture import LAYERS, SIDEWAYS  # noqa: E402

GUIDE = (ROOT / "docs" / "house.md").read_text("utf-8")
PATHS = sorted({path for path in re.findall(r"`([a-z_/]+(?:\.py|/))`", GUIDE) if not path.startswith(("docs/", "tests/"))})


@pytest.mark.parametrize("path", PATHS)
def test_files_exist(path: str) -> None:
    assert (ROOT / "detkit" / path).exists()


def test_functions_are_in_the_files_named_beside_them() -> None:
    pairs = re.findall(r"`(\w+)`(?: and `(\w+)`)? in `([a-z_/]+\.py)`", GUIDE)
    assert len(pairs) > 5
    for *names, path in pairs:
        source = (ROOT / "detkit" / path).read_text("utf-8")
        for name in filter(None, names):
            assert re.search(rf"\b{name}\b", source), f"{path} has no {name}"


def test_exceptions_between_packages_are_listed() -> None:
    rows = re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \| (`\w+`(?:, `\w+`)*)", GUIDE.partition("may also import")[2].partition("\n\n")[0], re.MULTILINE
    )
    stated = {(here.strip("`"), there.strip("`")) for left, right in rows for here in left.split(", ") for there in right.split(", ")}
    assert stated == SIDEWAYS - {("__main__", "cli")}


def test_the_diagram_is_up_to_date() -> None:
    assert (ROOT / "docs" / "house.svg").read_text("utf-8") == make_house_diagram.drawing(), "run: python docs/make_house_diagram.py"
    assert len(make_house_diagram.TITLES) == len(make_house_diagram.COLORS) == len(LAYERS)
