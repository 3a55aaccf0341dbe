"""Outcomes of the contract of exports, in docs/results/export/registry.json, so that a later run repeats only the cases that changed."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from detkit.checkpoint.atomic import write_text
from detkit.machine import processor
from detkit.models.detector import DetectorConfig

SWITCH = "DETKIT_EVERY_CONFIG"
"""Environment variable: ``1`` runs and records every case, ``changed`` only those that did not pass with the present code."""
ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "docs" / "results" / "export" / "registry.json"
LIBRARIES = ("torch", "torchvision", "timm", "onnx", "onnxruntime", "openvino")
ALWAYS = ("accelerate/fold.py", "export/*.py", "export/files/openvino.py", "inference/exported/*.py", "ops/*.py")
"""Sources that every case runs; those of the network's own layers are added. Images are prepared once for both sides of a comparison."""
NEVER = frozenset({"export/clip.py", "export/facts.py", "export/half.py", "export/opencv.py"})
"""Sources among them that no case runs."""


def read() -> dict[str, Any]:
    """Return what is recorded."""
    if not PATH.is_file():
        return {"cases": {}}
    recorded: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
    return recorded


def skip_unless_changed(case: str, config: DetectorConfig) -> None:
    """Skip a case that passed with the same config, sources and libraries, if only changed ones shall run."""
    row = read()["cases"].get(case)
    if os.environ.get(SWITCH) == "changed" and row and row["outcome"] == "passed" and row["digest"] == digest(config, row["sources"]):
        pytest.skip("passed with the present config, sources and libraries")


@contextmanager
def recorded(case: str, config: DetectorConfig, facts: Mapping[str, Any]) -> Iterator[None]:
    """Record the outcome of a case, if the switch is set.

    Args:
        case: Its name.
        config: The config of the network.
        facts: What the case adds: ``network``, the module, and what was measured.
    """
    start = time.process_time()

    def record(outcome: str) -> None:
        if not os.environ.get(SWITCH):
            return
        sources = sources_of(facts.get("network"))
        row = {"outcome": outcome, "processor_seconds": round(time.process_time() - start, 1)}
        row |= {key: value for key, value in facts.items() if key != "network"}
        _write(case, row | {"digest": digest(config, sources), "sources": sources})

    try:
        yield
    except Exception as error:
        record(f"failed: {next(iter(str(error).splitlines()), type(error).__name__)}")
        raise
    record("passed")


def sources_of(network: nn.Module | None) -> list[str]:
    """Return the files of the package that define the layers of a network, relative to the package."""
    classes = {type(layer) for layer in network.modules()} if network is not None else set()
    files = {inspect.getsourcefile(each) for each in classes if each.__module__.startswith("detkit.")}
    return sorted(Path(file).relative_to(ROOT / "detkit").as_posix() for file in files if file is not None)


def digest(config: DetectorConfig, sources: Iterable[str]) -> str:
    """Return a digest of a config, of the code in source files without comments and docstrings, and of the libraries' versions."""
    package = ROOT / "detkit"
    files = {*sources, *(path.relative_to(package).as_posix() for pattern in ALWAYS for path in package.glob(pattern))} - NEVER
    parts = [
        config.model_dump_json(exclude_defaults=True),
        json.dumps(versions()),
        *(f"{name} {_code(package / name)}" for name in sorted(files)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def versions() -> dict[str, str]:
    """Return the versions of the libraries that a case depends on."""
    return {name: metadata.version(name) for name in LIBRARIES}


@cache
def _code(path: Path) -> str:
    """Return the code of a file in one form; empty if the file is gone."""
    if not path.is_file():
        return ""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _write(case: str, row: Mapping[str, Any]) -> None:
    cases = {**read()["cases"], case: row}
    rows = [f"  {json.dumps(name)}: {json.dumps(cases[name])}" for name in sorted(cases)]
    head = {"command": COMMAND, "processor": processor(), "versions": versions()}
    text = json.dumps(head, indent=1).removesuffix("\n}") + ',\n "cases": {\n' + ",\n".join(rows) + "\n }\n}\n"
    PATH.parent.mkdir(parents=True, exist_ok=True)
    write_text(PATH, text)


COMMAND = f'{SWITCH}=changed pytest -n 0 -m "" tests/contracts/test_export.py'
