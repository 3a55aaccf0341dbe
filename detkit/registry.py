"""Registries of names that users type, each mapped to a function that is imported on demand."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import Any


def did_you_mean(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return a clause for an error message that suggests the nearest of the ``known`` names, or lists them; empty without any."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        ratios = [difflib.SequenceMatcher(None, other, name).ratio() for other in close]
        nearest = sorted(repr(other) for other, ratio in zip(close, ratios, strict=True) if ratio == max(ratios))
        return f"did you mean {' or '.join(nearest)}?"
    return f"expected one of: {', '.join(sorted(set(known)))}" if known else ""


class Registry:
    """Table ``name -> "module:attribute"`` that other packages can extend through an entry-point group.

    Args:
        noun: Noun for an entry in messages, such as ``"backbone"``.
        group: Entry-point group through which other packages add entries, such as ``"detkit.backbones"``.
        table: Built-in entries.
    """

    def __init__(self, noun: str, group: str, table: Mapping[str, str]) -> None:
        self.noun = noun
        self.group = group
        self._table = dict(table)
        self._plugins: dict[str, str] | None = None

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted, without importing anything."""
        return tuple(sorted(self._entries()))

    def __contains__(self, name: str) -> bool:
        return name in self._entries()

    def get(self, name: str) -> Callable[..., Any]:
        """Import and return the object registered as ``name``.

        Raises:
            ValueError: If the name is unknown; the message suggests the nearest ones.
        """
        entries = self._entries()
        if name not in entries:
            raise ValueError(f"unknown {self.noun} {name!r}: {did_you_mean(name, list(entries))}")
        module, _, attribute = entries[name].partition(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return function

    def _entries(self) -> dict[str, str]:
        if self._plugins is None:  # searching the installed packages takes 20 ms, and importing the library 10
            from importlib.metadata import entry_points

            self._plugins = {point.name: point.value for point in entry_points(group=self.group)}
        return {**self._plugins, **self._table}
