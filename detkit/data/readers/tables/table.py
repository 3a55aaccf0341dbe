"""The content of CSV tables as arrays: boxes, classes and images of millions of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detkit.arrays import Doubles, Flags, Integers
from detkit.data.readers.tables.forms import Block, Form, blocks
from detkit.structures import Size

_BLOCK = 50_000
"""Rows that are converted at once."""


@dataclass
class Table:
    """The rows of one or several tables.

    Attributes:
        images: The images by name, and their index in the order in which they first occur.
        classes: The classes by name, and their index likewise.
        sizes: The size of each image that states one, by index.
        boxes: ``(N, 4)`` boxes ``x1 y1 x2 y2`` of each block.
        image_index: ``(N,)`` index of the image of each box.
        class_index: ``(N,)`` index of its class.
        flags: ``(N,)`` whether it has a flag, by the name of the flag.
        relative: Whether the boxes are fractions of their images.
    """

    images: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, Size] = field(default_factory=dict)
    boxes: list[Doubles] = field(default_factory=list)
    image_index: list[Integers] = field(default_factory=list)
    class_index: list[Integers] = field(default_factory=list)
    flags: dict[str, list[Flags]] = field(default_factory=dict)
    relative: bool = False

    def add(self, file: Path, form: Form) -> None:
        """Append the rows of a file.

        Raises:
            ValueError: If a value is missing or no number, or an image has two sizes; the message names file and row.
        """
        for block in blocks(file, form, _BLOCK):
            self._add_block(block, form, file)

    def flag(self, name: str) -> Flags:
        """Return which boxes have a flag."""
        flags: Flags = joined(self.flags[name], np.bool_) if name in self.flags else np.zeros(sum(map(len, self.boxes)), np.bool_)
        return flags

    def _add_block(self, block: Block, form: Form, file: Path) -> None:
        columns = [[row[index] for row in block.rows] for index in range(form.width)]
        names, labels = columns[form.image], [label.strip() for label in columns[form.label]]
        _check_names(names, block, file)
        images = np.array([self.images.setdefault(name, len(self.images)) for name in names], np.int64)
        if form.size is not None:
            self._add_sizes(images, [columns[index] for index in form.size], block, file)
        texts = [columns[index] for index in form.box]
        rows = _rows_with_boxes([labels, *texts])
        if len(rows) < len(labels):
            indices = rows.tolist()
            labels, *texts = ([column[row] for row in indices] for column in (labels, *texts))
        if "" in labels:
            raise ValueError(f"{file}, row {block.numbers[rows[labels.index('')]]}: a box without a class; expected its class")
        self.boxes.append(np.stack([_numbers(text, rows, block, file) for text in texts], axis=1))
        self.image_index.append(images[rows])
        self.class_index.append(np.array([self.classes.setdefault(label, len(self.classes)) for label in labels], np.int64))
        for name, index in form.flags.items():
            is_set = np.array([text.strip() in ("1", "1.0") for text in columns[index]], np.bool_)
            self.flags.setdefault(name, []).append(is_set[rows])

    def _add_sizes(self, images: Integers, columns: list[list[str]], block: Block, file: Path) -> None:
        height, width = (_sides(column) for column in columns)
        sizes = np.stack([height, width], axis=1)
        for row in np.flatnonzero((sizes > 0).all(1) & _is_first(images, sizes)).tolist():
            size = (int(height[row]), int(width[row]))
            known = self.sizes.setdefault(int(images[row]), size)
            if known != size:
                raise ValueError(
                    f"{file}, row {block.numbers[row]}: it states the size {size[1]}x{size[0]} (width x height) of its image, an earlier "
                    f"row states {known[1]}x{known[0]}; correct one of them"
                )


def joined(parts: Sequence[npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
    """Return arrays one after the other; an empty one if there are none."""
    return np.concatenate(parts) if parts else np.zeros(0, kind)


def _check_names(names: Sequence[str], block: Block, file: Path) -> None:
    for number, name in zip(block.numbers, names, strict=True):
        if not name.strip():
            raise ValueError(f"{file}, row {number}: no image; expected the name of a file")


def _is_first(images: Integers, sizes: Integers) -> Flags:
    """Return which rows differ from the row above them, as only these can state something new."""
    keys = np.concatenate([images[:, None], sizes], axis=1)
    changed: Flags = np.concatenate([[True], (keys[1:] != keys[:-1]).any(1)])
    return changed


def _sides(column: list[str]) -> Integers:
    """Return sides in pixels; 0 for a value that is none, so that the size of the file is used."""
    known: dict[str, int] = {}
    for text in set(column):
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        known[text] = int(value) if 0 < value < 2**31 else 0
    return np.array([known[text] for text in column], np.int64)


def _rows_with_boxes(columns: Sequence[list[str]]) -> Integers:
    """Return the rows that are not blank in all columns; a blank one is that of an image without objects."""
    if all("" not in column for column in columns):
        return np.arange(len(columns[0]))
    return np.flatnonzero(np.any([[text.strip() != "" for text in column] for column in columns], axis=0))


def _numbers(texts: list[str], rows: Integers, block: Block, file: Path) -> Doubles:
    """Return numbers with a point or, as some programs write them, a comma."""
    try:
        return np.array(list(map(float, texts)), np.float64)
    except ValueError:
        values = np.zeros(len(texts), np.float64)
    for index, text in enumerate(texts):
        try:
            values[index] = float(text.replace(",", ".") if text.count(",") == 1 else text)
        except ValueError:
            number = block.numbers[rows[index]]
            raise ValueError(f"{file}, row {number}: expected numbers for the corners of the box, got {text[:80]!r}") from None
    return values
