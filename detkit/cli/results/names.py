"""Names of files and folders that are made from the names of inputs and classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from detkit.printable import printable

_LONGEST_STEM = 180
"""Bytes of a name without its extension; file systems allow 255, extensions and temporary names included."""
_UNSAFE = re.compile(r"[^\w\-.()+,=@]|^[^\w(+=,@]")
"""Characters that a format's lists, labels or readers do not keep: spaces, controls, quotes, brackets; a dot or a dash in front."""
_NOT_IN_FOLDERS = re.compile(r'[<>:"/\\|?*]|^[.~-]|[. ]$')
"""Characters that no folder's name has on some system, and those that hide it or look like a flag."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows gives to devices."""


def safe_file_stem(stem: str) -> str:
    """Return a name without spaces, controls, quotes and brackets, equal to ``stem`` if that can be."""
    return shortened_stem(_UNSAFE.sub("_", stem.strip()) or "_")


def shortened_stem(stem: str) -> str:
    """Return a name that is not too long for a file system."""
    return stem.encode("utf-8", "ignore")[:_LONGEST_STEM].decode("utf-8", "ignore")


def safe_names(names: Sequence[str]) -> list[str]:
    """Return class names that every format can hold: without control characters and outer spaces, not empty, and no two equal."""
    safe: list[str] = []
    for index, name in enumerate(names):
        safe.append(_unused(" ".join(printable(name).split()) or f"class {index}", set(safe)))
    return safe


def folder_names(names: Sequence[str | None]) -> list[str]:
    """Return a folder's name for each class that all systems allow, and no two of which are equal, ignoring case."""
    safe: list[str] = []
    for index, name in enumerate(names):
        text = _NOT_IN_FOLDERS.sub("_", " ".join(printable(name or "").split())) or f"class {index}"
        text = shortened_stem(f"{text}_" if _RESERVED.fullmatch(text) else text)
        safe.append(_unused(text, {name.casefold() for name in safe}, str.casefold))
    return safe


class UnusedStems:
    """Names of files without extension, no two of which are equal, ignoring case."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unused(self, stem: str) -> str:
        """Return the name, with a number appended if it was returned before."""
        name = _unused(stem, self._used, str.casefold, "-")
        self._used.add(name.casefold())
        return name


def _unused(text: str, used: set[str], key: Callable[[str], str] = str, separator: str = " ") -> str:
    number, name = 1, text
    while key(name) in used:
        number += 1
        name = f"{text}{separator}{number}"
    return name
