"""The site is built without warnings, leads to every page, and its reference has every command and name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser import NARROW, WIDE
from site_pages.reference import command_page, python_page
from site_pages.repository_links import to_github

import detkit
from detkit.cli.main import COMMANDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
_TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.DOTALL | re.MULTILINE)


def listed(page: str) -> list[str]:
    """Return the pages in the tables of contents of a page, and in theirs."""
    path = DOCS / f"{page}.md"
    blocks = _TOCTREE.findall(path.read_text("utf-8")) if path.exists() else []
    children = [line for block in blocks for line in block.splitlines() if line and not line.startswith(":")]
    return [name for child in children for name in (child, *listed(child))]


def test_every_page_is_in_the_contents() -> None:
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    missing = pages - set(listed("index")) - {"configuration"}  # which the generated index of the reference lists
    assert not missing, f"add them to a table of contents of docs/*.md: {sorted(missing)}"


@pytest.mark.parametrize("name", ["detect", "data", "models"])
def test_a_command_is_described(name: str) -> None:
    page = command_page(name)
    assert page.startswith(f"# detkit {name}\n")
    assert "`--help" not in page
    assert {"detect": "`--min-score S`\n: ", "data": "## detkit data check", "models": "## detkit models list"}[name] in page
    assert len(COMMANDS) > 10


def test_every_name_of_the_api_is_described() -> None:
    page = python_page()
    names = set(re.findall(r"auto(?:class|function):: detkit\.(\w+)", page))
    assert names == {name for name in dir(detkit) if not name.startswith("_") and name != "zoo"}
    assert "## More" not in page, "the docstring of the package lists every name"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("data.md#check", "data.md#check"),
        ("images/readme.jpg", "images/readme.jpg"),
        ("https://example.org/a.py", "https://example.org/a.py"),
        ("../detkit/zoo", "https://github.com/detkit-vision/detkit/blob/main/detkit/zoo"),
        ("results/embedded.json", "https://github.com/detkit-vision/detkit/blob/main/docs/results/embedded.json"),
    ],
)
def test_links_to_other_files_lead_to_the_repository(link: str, expected: str) -> None:
    assert to_github(f"[text]({link})", DOCS / "house.md") == f"[text]({expected})"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The built site, and what its builder said; the chapters are not run, which test_learn does."""
    folder = tmp_path_factory.mktemp("site")
    flags = ["-q", "-W", "--keep-going", "-d", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *flags, str(DOCS), str(folder / "site")]
    environment = {**os.environ, "SITE_NOTEBOOKS": "off"}
    return folder / "site", subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_the_site_is_built_without_warnings(built: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    site, result = built
    assert result.returncode == 0, result.stderr
    assert "Detections" in (site / "reference" / "python.html").read_text("utf-8")
    assert (site / "learn" / "01_metrics.ipynb").is_file()
    assert 'href="01_metrics.ipynb" download' in (site / "learn" / "01_metrics.html").read_text("utf-8")


@pytest.mark.slow
def test_pages_fit_their_window(built: tuple[Path, subprocess.CompletedProcess[str]], chromium: Any) -> None:
    """No page scrolls sideways, at 1280 px and on a phone, and at 1280 px no table is wider than the text."""
    faults = []
    page = chromium.new_page()
    for width, height in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": height})
        for path in sorted(built[0].glob("*.html")):
            page.goto(path.as_uri())
            overflow, wide = page.evaluate(
                """() => [document.documentElement.scrollWidth - document.documentElement.clientWidth,
                [...document.querySelectorAll('.bd-article table')].filter(table => table.scrollWidth > table.clientWidth + 1).length]"""
            )
            if overflow > 0 or (wide and width == WIDE[0]):
                faults.append(f"{path.stem} at {width} px: {overflow} px too wide, {wide} wide tables")
    assert not faults
