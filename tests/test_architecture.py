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
    {"structures", "registry", "machine", "lazy", "label_values", "about", "arrays", "npz", "printable", "json_text", "json_lists"},
    {"accelerate", "ops", "layers", "config", "checkpoint", "preprocess", "weights"},
    {"backbones", "necks", "heads", "proposals", "data", "evaluation", "drawing", "text", "tracking"},
    {"models"},
    {"training", "inference", "diagnostics", "export"},
    {"experiment", "config_classes"},
    {"zoo", "curation", "report", "comparison", "bulk"},
    {"cli", "serve", "__main__"},
)
LAYER_OF = {name: layer for layer, names in enumerate(LAYERS) for name in names}
SIDEWAYS = {
    ("layers", "ops"),
    ("layers", "accelerate"),
    ("ops", "accelerate"),
    ("preprocess", "config"),
    ("structures", "arrays"),
    ("structures", "lazy"),
    ("training", "inference"),
    ("export", "inference"),
    ("diagnostics", "inference"),
    ("evaluation", "data"),
    ("config_classes", "experiment"),
    ("comparison", "report"),
    ("comparison", "zoo"),
    ("curation", "report"),
    ("cli", "serve"),
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


LIGHT = (
    "cli/main.py",
    "cli/detect/command.py",
    "data/media/images.py",
    "data/writers/coco.py",
    "data/writers/voc.py",
    "data/writers/yolo.py",
    "drawing/boxes.py",
    "drawing/canvas.py",
    "inference/exported/onnx.py",
    "inference/light.py",
    "preprocess/arrays.py",
)
"""What detects with an exported file or the detector inside the package: the command, its writers, and the runtime itself."""
DOORS = frozenset({"detkit.inference.loading"})
"""Modules that the command imports only where what it is asked for needs PyTorch, see ``detkit.cli.detect.detector``."""
LIBRARIES = {"numpy", "PIL", "pydantic", "onnxruntime"}
"""Libraries without which it does not run; docs/export.md states the same."""
OPTIONAL = {
    "cv2": {
        "cli/advice.py",
        "data/live/capture.py",
        "data/live/file_capture.py",
        "data/media/images.py",
        "data/media/video.py",
        "data/writers/mask_polygons.py",
        "drawing/video.py",
        "preprocess/arrays.py",
    },
    "fsspec": {"data/storage/door.py"},
    "pyarrow": {"bulk/arrow.py"},
    "tifffile": {"data/media/tiff.py"},
    "torch": {"machine.py"},
    "tqdm": {"cli/report.py"},
    "yaml": {"data/writers/yolo.py"},
}
"""Other libraries, and the modules that import them only when they are needed: OpenCV for videos, outlines of masks, and models with its
resizing (Pillow decodes JPEG without it), fsspec for images in object storage, tifffile for rare TIFF files, pyarrow for shards, torch for
a question about bfloat16 that only users of PyTorch ask, a progress bar for videos, and YAML for labels in YOLO's format."""


def executed(statements: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when a module is imported or used: those outside of ``if TYPE_CHECKING``, also in functions."""
    for statement in statements:
        if isinstance(statement, ast.If) and getattr(statement.test, "id", "") == "TYPE_CHECKING":
            yield from executed(statement.orelse)
            continue
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        for block in ("body", "orelse", "finalbody", "handlers"):
            yield from executed(getattr(statement, block, []))


def lazy_names(package: str) -> dict[str, str]:
    """Module of each name that a package exports lazily, from its ``if TYPE_CHECKING``."""
    path = ROOT / package.replace(".", "/") / "__init__.py"
    statements = ast.parse(path.read_text("utf-8")).body if path.is_file() else []
    checked = [row for row in statements if isinstance(row, ast.If) and getattr(row.test, "id", "") == "TYPE_CHECKING"]
    rows = [row for block in checked for row in block.body if isinstance(row, ast.ImportFrom) and row.module]
    return {alias.asname or alias.name: str(row.module) for row in rows for alias in row.names}


def imported_modules(path: Path) -> Iterator[str]:
    """Modules that a module imports when it is used, through packages that export names lazily too."""
    for node in executed(ast.parse(path.read_text("utf-8")).body):
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.Import):
            yield from names
            continue
        module = node.module or ""
        yield module
        if module.partition(".")[0] == PACKAGE.name:
            lazy = lazy_names(module)
            yield from (lazy.get(name, f"{module}.{name}") for name in names)


def closure(files: tuple[str, ...], doors: frozenset[str] = frozenset()) -> dict[str, str]:
    """Every module that some files of the package import, directly or not, but not through ``doors``, with the file that imports it."""
    found: dict[str, str] = {}
    waiting = [PACKAGE / file for file in files]
    while waiting:
        path = waiting.pop()
        for module in imported_modules(path):
            parts = module.split(".")
            for name in (".".join(parts[:count]) for count in range(1, len(parts) + 1)):
                file = ROOT / name.replace(".", "/")
                source = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
                if name not in {*found, *doors} and (parts[0] != PACKAGE.name or source.is_file()):
                    found[name] = str(path.relative_to(ROOT))
                    waiting += [source] if parts[0] == PACKAGE.name else []
    return found


def source_files() -> set[Path]:
    """Files of all modules that detection without torch may import."""
    names = [ROOT / name.replace(".", "/") for name in closure(LIGHT, DOORS) if name.partition(".")[0] == PACKAGE.name]
    return {PACKAGE / file for file in LIGHT} | {path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in names}


def libraries_of(path: Path, nodes: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a library that a module imports, and the module."""
    for name in nodes:
        library = name.partition(".")[0]
        if library not in {PACKAGE.name, *sys.stdlib_module_names}:
            yield library, path.relative_to(PACKAGE).as_posix()


def test_what_detects_without_torch_imports_few_libraries() -> None:
    pairs = {pair for path in source_files() for pair in libraries_of(path, imported_modules(path))}
    assert len(source_files()) > 60
    assert {library for library, _ in pairs} == LIBRARIES | set(OPTIONAL)
    assert {pair for pair in pairs if pair[0] not in LIBRARIES} == {(name, file) for name, files in OPTIONAL.items() for file in files}


def test_the_doors_lead_to_torch() -> None:
    for door in DOORS:
        assert "torch" in closure((f"{door.removeprefix('detkit.').replace('.', '/')}.py",))


def test_optional_libraries_are_imported_in_functions() -> None:
    """What imports one at once is itself imported only for videos and for YOLO labels."""
    at_once = set()
    for path in source_files():
        nodes = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = [node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name for node in nodes]
        at_once |= {pair for pair in libraries_of(path, iter(names)) if pair[0] in OPTIONAL}
    video = {"data/live/capture.py", "data/live/file_capture.py", "data/media/video.py", "drawing/video.py"}
    assert at_once == {("yaml", "data/writers/yolo.py"), *(("cv2", file) for file in video)}


def test_the_closure_follows_lazy_names() -> None:
    assert "torch" in closure(("inference/loading.py",))
    assert lazy_names("detkit.preprocess")["preprocess"] == "detkit.preprocess.prepare"
    assert "torch" in closure(("preprocess/prepare.py",))
