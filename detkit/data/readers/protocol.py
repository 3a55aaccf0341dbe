"""The protocol of label readers, and the rules for split names that all formats share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from detkit.data.records import DetectionData
from detkit.registry import did_you_mean


@dataclass(frozen=True)
class ReadOptions:
    """What to read of a data set, and how; see :class:`detkit.data.sources.SourceConfig`.

    Attributes:
        images: The folder of the images; None: the usual one.
        split: The split; None: the file itself, or all of a folder.
        check: Largest number of image headers to compare with the stated sizes.
        outside: Whether labels may name images outside of the data folder.
    """

    images: Path | None = None
    split: str | None = None
    check: int = 20_000
    outside: bool = False


class Reader(Protocol):
    """A reader of one label format, without state."""

    name: str
    """Name of the format."""
    kind: str
    """Word for the format on the command line; a key of :data:`detkit.data.writers.WRITERS` if it can be written."""
    expects: str
    """Paths that :meth:`recognizes` accepts, as a phrase for the error message when no format is recognized."""

    def recognizes(self, path: Path) -> bool:
        """Return whether ``path``, which exists, contains this format."""
        ...

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the names of the splits; empty if the path is not divided."""
        ...

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read the data.

        Raises:
            ValueError: If the data cannot be used; the message names the file.
        """
        ...


_ALIASES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


def find_split(name: str, available: Sequence[str]) -> str | None:
    """Return the available split called ``name``, or by an alias (``valid`` for ``val``), or with a year (``val2017``).

    Raises:
        ValueError: If several splits match.
    """
    if name in available:
        return name
    names = next((aliases for aliases in _ALIASES.values() if name in aliases), (name,))
    for pattern in (r"{}$", r"{}[_-]?\d+$"):
        matches = [split for split in available if any(re.match(pattern.format(re.escape(alias)), split.lower()) for alias in names)]
        if len(matches) > 1:
            raise ValueError(f"split {name!r} is ambiguous: it matches {' and '.join(matches)}; name one of them")
        if matches:
            return matches[0]
    return None


def is_split_name(name: str) -> bool:
    """Return whether ``name`` is that of a split: ``train``, ``val``, ``test`` or an alias."""
    return any(find_split(split, (name,)) is not None for split in _ALIASES)


def resolve_split(path: Path, split: str | None, available: Sequence[str]) -> str | None:
    """Return the split to read; None if the data is not divided.

    Raises:
        ValueError: If there is no such split, or if there are several and none is given.
    """
    if split is None:
        if len(available) > 1:
            raise ValueError(f"{path}: it has the splits {', '.join(available)}; name one of them as the split")
        return available[0] if available else None
    if not available:
        raise ValueError(f"{path}: it has no splits, so split {split!r} cannot be read; omit the split, or use a validation fraction")
    match = find_split(split, available)
    if match is None:
        hint = did_you_mean(split, tuple(available))
        listing = f" Its splits are {', '.join(available)}" if hint.startswith("did you mean") else ""  # else the hint is the list
        raise ValueError(f"{path}: it has no split {split!r}: {hint}{listing}")
    return match
