"""Lists of the colors of classes, for label maps that are images of colors: ``labelmap.txt``, as CVAT writes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from detkit.data.readers.mask_images import Palette
from detkit.data.readers.text import read_lines

COLORS = "labelmap.txt"
_LINE = re.compile(r"([^:]+):\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(:.*)?")
_BACKGROUND, _IGNORED = "background", ("ignore", "void", "ignored")


def find_palette(folders: Sequence[Path]) -> Path | None:
    """Return the first list of colors in some folders."""
    return next((folder / COLORS for folder in folders if (folder / COLORS).is_file()), None)


def read_palette(file: Path, ignored: int) -> tuple[dict[int, str], Palette]:
    """Return the class of each value, and the color of each.

    Classes are numbered from 1 in the order of their lines; ``background`` is 0, and ``ignore`` or ``void`` are pixels to ignore. A class
    can have several colors.

    Args:
        file: Lines ``name:red,green,blue``, after which CVAT states parts and actions; ``#`` begins a comment.
        ignored: Value of pixels to ignore.

    Raises:
        ValueError: If a line is not of this form, or two classes have the same color.
    """
    names: dict[str, int] = {}
    palette: dict[tuple[int, int, int], int] = {}
    for number, line in enumerate(read_lines(file), 1):
        if not (text := line.strip()) or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None or any(int(part) > 255 for part in match.groups()[1:4]):
            raise ValueError(f"{file}: line {number}: expected name:red,green,blue with numbers from 0 to 255, got {text[:80]!r}")
        name, color = match[1].strip(), (int(match[2]), int(match[3]), int(match[4]))
        if name.lower() == _BACKGROUND:
            value = 0
        elif name.lower() in _IGNORED:
            value = ignored
        else:
            value = names.setdefault(name, len(names) + 1)
        if palette.setdefault(color, value) != value:
            raise ValueError(f"{file}: line {number}: color {match[2]},{match[3]},{match[4]} is that of another class; give each its own")
    if not names:
        raise ValueError(f"{file}: expected classes with their colors, a line each, such as road:128,64,128; got none")
    return {value: name for name, value in names.items()}, tuple(palette.items())
