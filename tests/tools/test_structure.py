"""The figures of ``tools/structure.py``, on a small package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Two packages with a cycle between their modules, and a function of three lines below its docstring."""
    house = tmp_path / "house"
    for folder, name, source in (
        ("rooms", "hall", "from house.garden import tree\n"),
        (
            "garden",
            "tree",
            "import house.rooms.hall\n\n\ndef grow():\n    '''Grow.'''\n    a = 1\n    b = a  # type: ignore\n    return b\n",
        ),
    ):
        (house / folder).mkdir(parents=True)
        (house / folder / "__init__.py").touch()
        (house / folder / f"{name}.py").write_text(source, "utf-8")
    (house / "__init__.py").touch()
    return house


def test_figures_of_a_small_package(package: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, str(TOOLS / "structure.py"), "--package", str(package), "--json", str(file), "--arrows"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = json.loads(file.read_text("utf-8"))
    assert figures["files"] == 5
    assert figures["files a folder"] == {"house.rooms": 1, "house.garden": 1}
    assert figures["functions"] == 1
    assert figures["lines a function"] == {"median": 3, "p90": 3, "longest": 3, "name": "house.garden.tree.grow"}
    assert figures["cycles of modules"] == [["house.garden.tree", "house.rooms.hall"]]
    assert figures["cycles of packages"] == [["garden", "rooms"]]
    assert figures["imports between packages"] == figures["arrows between packages"] == 2
    assert figures["type: ignore"] == 1
    assert "garden -> rooms: 1" in printed
