"""Configs that ship with detkit: list them, describe them without executing them, and load one by name.

>>> from detkit import zoo
>>> zoo.describe("fpn_r50").title
"Faster R-CNN on a ResNet-50 FPN, for COCO: the 1x schedule with the numbers of torchvision's reference training."
>>> config = zoo.load("fpn_r50")

The folders of this package group the configs by kind of detector; every module in them binds ``config``. Other packages add theirs
through the entry-point group ``detkit.configs``, whose entries read ``NAME = "module:attribute"``.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.registry import Registry, did_you_mean

if TYPE_CHECKING:
    from detkit.experiment.config import Experiment

__all__ = ["GROUP", "ZooEntry", "describe", "load", "names", "path"]

GROUP = "detkit.configs"
"""The entry-point group through which other packages add configs."""
_FOLDER = Path(__file__).parent
_RESULT = "Result:"
_NOT_MEASURED = "not yet run"


@dataclass(frozen=True)
class ZooEntry:
    """A config as its docstring describes it.

    Attributes:
        name: Its name for ``detkit train NAME``.
        title: First line of the docstring.
        commands: Commands that fetch the data, train and evaluate, one per entry.
        result: The stated result, on one line; empty if there is none.
        measured: Whether the result was measured with this config; the docstring says "not yet run" otherwise.
        docstring: The whole docstring.
    """

    name: str
    title: str
    commands: tuple[str, ...]
    result: str
    measured: bool
    docstring: str


def names() -> tuple[str, ...]:
    """Return the names of all configs, sorted; nothing is executed."""
    return _registry().names()


def load(name: str) -> Experiment:
    """Import a config.

    Raises:
        ValueError: If no config has this name, or the plugin that adds it binds something else than an ``Experiment``.
    """
    config = _registry().get(name)
    from detkit.experiment.config import Experiment

    if not isinstance(config, Experiment):
        raise ValueError(f"config {name!r}: expected an Experiment, got {type(config).__name__}; fix the package that adds it")
    return config


def path(name: str) -> Path:
    """Return the file of a config. For a config of another package this imports the package, not the config.

    Raises:
        ValueError: If no config has this name, or its module has no source file.
    """
    if name in (files := _files()):
        return files[name]
    if name not in _registry():
        raise ValueError(f"unknown config {name!r}: {did_you_mean(name, list(names()))}")
    from importlib.metadata import entry_points

    (point,) = (point for point in entry_points(group=GROUP) if point.name == name)
    spec = importlib.util.find_spec(point.module)
    if spec is None or spec.origin is None or not spec.has_location:
        raise ValueError(f"config {name!r}: expected a module with a source file, got {point.module}; fix the package that adds it")
    return Path(spec.origin)


def describe(name: str) -> ZooEntry:
    """Describe a config from its docstring; the file is parsed, not executed.

    Raises:
        ValueError: If no config has this name.
    """
    docstring = ast.get_docstring(ast.parse(path(name).read_text("utf-8"))) or ""
    return ZooEntry(
        name=name,
        title=docstring.partition("\n")[0],
        commands=_commands(docstring),
        result=_result(docstring),
        measured=bool(docstring) and _NOT_MEASURED not in docstring,
        docstring=docstring,
    )


def _files() -> dict[str, Path]:
    """Return the file of each config in the folders of this package, by name."""
    return {file.stem: file for file in sorted(_FOLDER.glob("*/*.py"), key=lambda file: file.stem) if not file.stem.startswith("_")}


def _registry() -> Registry:
    """Return the registry of configs: ``name -> "module:attribute"``."""
    return Registry("config", GROUP, {name: f"{__name__}.{file.parent.name}.{name}:config" for name, file in _files().items()})


def _commands(docstring: str) -> tuple[str, ...]:
    """Return the indented lines of a docstring; lines that end with a backslash are joined with the next."""
    joined = docstring.replace("\\\n", " ")
    return tuple(" ".join(line.split()) for line in joined.splitlines() if line.startswith("    "))


def _result(docstring: str) -> str:
    """Return the paragraph that begins with ``Result:``, on one line."""
    for paragraph in docstring.split("\n\n"):
        if paragraph.startswith(_RESULT):
            return " ".join(paragraph.removeprefix(_RESULT).split())
    return ""
