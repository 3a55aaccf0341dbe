"""Tables of names that people type, each pointing at a function that is imported only when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any


def did_you_mean(name: str, known: list[str] | tuple[str, ...]) -> str:
    """A clause that suggests the nearest of ``known`` names, or lists them; empty if there are none."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        nearness = [difflib.SequenceMatcher(None, other, name).ratio() for other in close]
        equal = sorted(repr(other) for other, near in zip(close, nearness, strict=True) if near == max(nearness))
        return f"did you mean {' or '.join(equal)}?"
    return f"expected one of: {', '.join(sorted(known))}" if known else ""


class Registry:
    """A table ``name -> "module:attribute"``, open to other people's packages through an entry-point group.

    Args:
        what: What an entry is, in one word, for messages: ``"backbone"``.
        group: The entry-point group other packages add to: ``"detkit.backbones"``.
        table: The built-in entries.
    """

    def __init__(self, what: str, group: str, table: Mapping[str, str]) -> None:
        self.what = what
        self.group = group
        self._table = dict(table)

    def names(self) -> tuple[str, ...]:
        """All names, sorted; nothing is imported."""
        return tuple(sorted(self._entries()))

    def __contains__(self, name: str) -> bool:
        return name in self._entries()

    def get(self, name: str) -> Callable[..., Any]:
        """Import and give what ``name`` points at.

        Raises:
            ValueError: there is no such name; the message suggests the nearest.
        """
        entries = self._entries()
        if name not in entries:
            raise ValueError(f"unknown {self.what} {name!r}: {did_you_mean(name, list(entries))}")
        module, _, attribute = entries[name].partition(":")
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return found

    def _entries(self) -> dict[str, str]:
        plugins = {point.name: point.value for point in entry_points(group=self.group)}
        return {**plugins, **self._table}
