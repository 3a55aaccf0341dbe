"""The layers of the package: every import points down, no modules import one another, and every package has a layer."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "detkit"
sys.path.insert(0, str(ROOT / "tools"))

import structure  # noqa: E402

LAYERS = (
    {"structures", "registry", "machine", "lazy", "label_values", "about", "arrays", "printable", "json_text"},
    {"accelerate", "ops", "layers", "config", "checkpoint", "preprocess", "weights"},
    {"backbones", "necks", "heads", "proposals", "data", "evaluation", "drawing", "text"},
    {"models"},
    {"training", "inference", "diagnostics", "export"},
    {"experiment", "config_classes"},
    {"zoo", "curation"},
    {"cli", "__main__"},
)
LAYER_OF = {name: layer for layer, names in enumerate(LAYERS) for name in names}
SIDEWAYS = {
    ("layers", "ops"),
    ("layers", "accelerate"),
    ("ops", "accelerate"),
    ("preprocess", "config"),
    ("training", "inference"),
    ("export", "inference"),
    ("diagnostics", "inference"),
    ("evaluation", "data"),
    ("config_classes", "experiment"),
    ("__main__", "cli"),
}
MAX_FILES = 20
"""Largest number of modules in one folder."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part != "__init__":
            yield part, path


def imported_parts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and package of every import from detkit, anywhere in the file."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "relative"
            elif node.module == "detkit":
                names = [f"detkit.{alias.name}" for alias in node.names]
            else:
                names = [node.module or ""]
        for name in names:
            parts = name.split(".")
            if parts[0] == "detkit" and len(parts) > 1:
                yield node.lineno, parts[1]


def wrong_imports(part: str, source: str, file: str) -> list[str]:
    wrong = []
    for line, other in imported_parts(ast.parse(source)):
        if other == part or (part, other) in SIDEWAYS:
            continue
        if other not in LAYER_OF:
            wrong.append(f"{file}:{line}: imports {other!r}, which has no layer")
        elif LAYER_OF[other] >= LAYER_OF[part]:
            wrong.append(f"{file}:{line}: {part} (layer {LAYER_OF[part]}) imports {other} (layer {LAYER_OF[other]})")
    return wrong


def test_every_package_has_a_layer() -> None:
    assert {part for part, _ in modules()} <= set(LAYER_OF)


def test_every_import_points_down() -> None:
    wrong = [row for part, path in modules() for row in wrong_imports(part, path.read_text("utf-8"), str(path.relative_to(PACKAGE)))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("ops", "from detkit.models.detector import Detector"),
        ("accelerate", "from detkit.layers import FrozenBatchNorm"),
        ("backbones", "from detkit.necks import fpn"),
        ("models", "def f():\n    import detkit.cli.main"),
        ("data", "from detkit import experiment"),
        ("heads", "from . import dense"),
        ("training", "from detkit.utils import x"),
        ("data", "from detkit import __version__"),
    ],
)
def test_wrong_imports_are_detected(part: str, source: str) -> None:
    assert wrong_imports(part, source, "file.py")


def test_no_modules_import_one_another() -> None:
    groups = structure.cycles(structure.import_graph(structure.read_modules(PACKAGE)))
    assert not groups, "\n".join(" <-> ".join(group) for group in groups)


def test_import_cycles_are_detected(tmp_path: Path) -> None:
    package = tmp_path / "house"
    (package / "rooms").mkdir(parents=True)
    for name, source in {
        "__init__": "",
        "rooms/__init__": "",
        "rooms/hall": "def door():\n    from house.rooms import kitchen",
        "rooms/kitchen": "from house.rooms.pantry import shelf",
        "rooms/pantry": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.rooms.hall",
        "garden": "from house.rooms import hall",
    }.items():
        (package / f"{name}.py").write_text(source, "utf-8")
    groups = structure.cycles(structure.import_graph(structure.read_modules(package)))
    assert groups == [["house.rooms.hall", "house.rooms.kitchen", "house.rooms.pantry"]]


def test_no_folder_has_too_many_files() -> None:
    files = Counter(path.parent.relative_to(PACKAGE).as_posix() for _, path in modules() if path.name != "__init__.py")
    crowded = {folder: count for folder, count in files.items() if count > MAX_FILES}
    assert not crowded


def test_only_the_cli_prints() -> None:
    prints = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for part, path in modules()
        if part not in {"cli", "__main__"}
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert not prints
