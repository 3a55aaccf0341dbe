"""Lazy import of the names and modules of a package on first use."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_getattr(package: str, exports: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Create the ``__getattr__`` of a package that exports names of modules that are slow to import.

    Args:
        package: ``__name__`` of the package.
        exports: Names exported from each module; modules of the package start with a dot.
    """
    modules = {name: module for module, names in exports.items() for name in names}

    def resolve(name: str) -> Any:
        if name not in modules:
            return _import_submodule(package, name)
        value = getattr(importlib.import_module(modules[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return resolve


def _import_submodule(package: str, name: str) -> Any:
    """Import a module of a package; Python does not make it an attribute until it has been imported."""
    full_name = f"{package}.{name}"
    if name.startswith("_") or importlib.util.find_spec(full_name) is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return importlib.import_module(full_name)
