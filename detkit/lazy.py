"""Names and modules of a package that are imported when they are first used."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazily(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose names live in modules that are costly to import.

    Args:
        package: Its ``__name__``.
        homes: The names that each module gives; modules within the package begin with a dot.
    """
    modules = {name: module for module, names in homes.items() for name in names}

    def find(name: str) -> Any:
        if name not in modules:
            return _module(package, name)
        value = getattr(importlib.import_module(modules[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return find


def _module(package: str, name: str) -> Any:
    """A module of a package, which Python itself finds only after it was imported."""
    whole = f"{package}.{name}"
    if name.startswith("_") or importlib.util.find_spec(whole) is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return importlib.import_module(whole)
