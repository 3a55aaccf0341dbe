"""What a reader of one format offers, and the rules for naming parts (splits) that all formats share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from detkit.data.records import DetectionData
from detkit.registry import did_you_mean


class Reader(Protocol):
    """Reads one format of labels; holds no state."""

    name: str
    """The format, as a person calls it."""
    expects: str
    """What :meth:`recognizes` looks for, in one clause, for the message that nothing was recognized."""

    def recognizes(self, path: Path) -> bool:
        """Whether ``path``, which exists, holds this format."""
        ...

    def splits(self, path: Path) -> tuple[str, ...]:
        """The parts that can be asked for by name; empty if the path is one whole."""
        ...

    def read(self, path: Path, images: Path | None, split: str | None, check: int) -> DetectionData:
        """Read it; see :class:`detkit.data.sources.SourceConfig` for the arguments.

        Raises:
            ValueError: it is beyond use; the message names the file.
        """
        ...


_ALIASES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


def find_split(wanted: str, available: Sequence[str]) -> str | None:
    """The part that ``wanted`` means: by its own name, an alias (``valid`` for ``val``), or with a year (``val2017``).

    Raises:
        ValueError: several parts are meant.
    """
    if wanted in available:
        return wanted
    names = next((aliases for aliases in _ALIASES.values() if wanted in aliases), (wanted,))
    for pattern in (r"{}$", r"{}[_-]?\d+$"):
        found = [part for part in available if any(re.match(pattern.format(re.escape(name)), part.lower()) for name in names)]
        if len(found) > 1:
            raise ValueError(f"split {wanted!r} may mean {' or '.join(found)}; name one")
        if found:
            return found[0]
    return None


def is_part(name: str) -> bool:
    """Whether a folder of this name is taken for a part of the data: it is called ``train``, ``val``, ``test`` or an alias."""
    return any(find_split(part, (name,)) is not None for part in _ALIASES)


def chosen_split(path: Path, split: str | None, available: Sequence[str]) -> str | None:
    """The part to read; None if the data is one whole.

    Raises:
        ValueError: there is no such part, or there are several and none is named.
    """
    if split is None:
        if len(available) > 1:
            raise ValueError(f"{path}: it has the parts {', '.join(available)}; name one of them as the split")
        return available[0] if available else None
    if not available:
        raise ValueError(f"{path}: it has no parts, so split {split!r} cannot be chosen; leave the split out, or use a validation fraction")
    found = find_split(split, available)
    if found is None:
        hint = did_you_mean(split, tuple(available))
        raise ValueError(f"{path}: it has no part {split!r}: {hint}; its parts are {', '.join(available)}")
    return found
