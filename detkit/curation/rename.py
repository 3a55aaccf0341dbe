"""Rename, join and drop the classes of a data set."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detkit.curation.parts import LabeledParts, Part, box_counts
from detkit.data import ClassMapping
from detkit.registry import did_you_mean

DROPPED = ""
"""New name of a class whose boxes are dropped."""


@dataclass(frozen=True)
class Renamed:
    """A data set with other class names.

    Attributes:
        data: The data set.
        mapping: The new class of each old one.
        boxes: Number of boxes of each old class, in all parts.
    """

    data: LabeledParts
    mapping: ClassMapping
    boxes: tuple[int, ...]

    @property
    def joined(self) -> dict[str, tuple[str, ...]]:
        """New classes that were several, with their old names."""
        old = {
            name: tuple(other for other, index in zip(self.mapping.data_names, self.mapping.indices, strict=True) if index == number)
            for number, name in enumerate(self.data.class_names)
        }
        return {name: names for name, names in old.items() if len(names) > 1}

    @property
    def dropped_boxes(self) -> int:
        """Number of boxes of the classes that were dropped."""
        return sum(count for count, index in zip(self.boxes, self.mapping.indices, strict=True) if index is None)


def rename_classes(data: LabeledParts, names: Mapping[str, str], *, strip: bool = False, lower: bool = False) -> Renamed:
    """Give classes new names; classes with the same new name are joined.

    Args:
        data: The data set.
        names: Old to new names; the new name :data:`DROPPED` drops a class with its boxes. Other classes keep their names.
        strip: Remove spaces around all names, and repeated ones inside.
        lower: Convert all names to lower case.

    Raises:
        ValueError: If the data has no such class, or no class is left.
    """
    for name in names:
        if name not in data.class_names:
            raise ValueError(f"rename: the data has no class {name!r}: {did_you_mean(name, list(data.class_names))}")
    new = [_normalized(names.get(name, name), strip, lower) for name in data.class_names]
    mapping = _mapping(data.class_names, new)
    counts = np.sum([box_counts(part) for _, part in data], axis=0).tolist()
    return Renamed(data.map(lambda part: _renamed(part, mapping)), mapping, tuple(counts))


def read_renames(path: str | Path) -> dict[str, str]:
    """Read old and new names from a text file with ``old=new`` lines, or a CSV file with two columns; an empty new name drops a class.

    Empty lines, and lines that begin with ``#``, are skipped.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is anything else, or a name occurs twice.
    """
    path = Path(path)
    names: dict[str, str] = {}
    lines = path.read_text("utf-8-sig").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = next(csv.reader([line])) if path.suffix.lower() == ".csv" else line.split("=", 1)
        if len(cells) != 2 or not cells[0].strip():
            expected = "OLD,NEW" if path.suffix.lower() == ".csv" else "OLD=NEW"
            raise ValueError(f"{path}, line {number}: expected {expected}, got {line.strip()!r}")
        old, new = (cell.strip() for cell in cells)
        if names.get(old, new) != new:
            raise ValueError(f"{path}, line {number}: {old!r} was renamed to {names[old]!r} before; give it one new name")
        names[old] = new
    return names


def _normalized(name: str, strip: bool, lower: bool) -> str:
    name = " ".join(name.split()) if strip else name
    return name.lower() if lower else name


def _mapping(old: Sequence[str], new: Sequence[str]) -> ClassMapping:
    names = tuple(dict.fromkeys(name for name in new if name != DROPPED))
    if not names:
        raise ValueError(f"rename: no class is left of {', '.join(old)}; keep at least one")
    indices = tuple(None if name == DROPPED else names.index(name) for name in new)
    renames = tuple((before, after) for before, after in zip(old, new, strict=True) if after not in (before, DROPPED))
    return ClassMapping(tuple(old), names, indices, renames)


def _renamed(part: Part, mapping: ClassMapping) -> Part:
    """Return the part with its new classes; boxes that were dropped on purpose are no matter for the reader's report."""
    return replace(part, data=replace(mapping.apply(part.data), report=part.data.report, coco_file=None))
