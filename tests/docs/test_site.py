"""The site is built without warnings, leads to every page, and its reference has every command and name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
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


@pytest.mark.slow
def test_the_site_is_built_without_warnings(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        str(tmp_path / "doctrees"),
        str(DOCS),
        str(tmp_path / "site"),
    ]
    environment = {**os.environ, "SITE_NOTEBOOKS": "off"}  # test_learn runs them
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    assert "Detections" in (tmp_path / "site" / "reference" / "python.html").read_text("utf-8")
