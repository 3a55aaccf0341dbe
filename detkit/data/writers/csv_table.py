"""CSV in TensorFlow's form: one table per split with a row for each box, with the images next to it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from detkit.checkpoint.atomic import write_text
from detkit.data.writers.class_list import write_class_list
from detkit.data.writers.labeled import LabeledData
from detkit.data.writers.numbers import CORNERS, box_numbers, texts
from detkit.data.writers.protocol import DEFAULTS, Holds, WriteOptions, image_name

HEADER = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
"""The first row of the table."""


@dataclass(frozen=True)
class CsvWriter:
    """``SPLIT/_annotations.csv``, with the images next to it; see :class:`~detkit.data.writers.protocol.Writer`."""

    holds: ClassVar[Holds] = Holds()
    options: WriteOptions = DEFAULTS

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong."""
        return folder / split

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split, and the list of classes."""
        images = self.image_folder(folder, split)
        table = io.StringIO(newline="")
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(HEADER)
        rows.writerows(_rows(data, images))
        write_class_list(images / "classes.txt", data.class_names)
        write_text(images / "_annotations.csv", table.getvalue())


def _rows(data: LabeledData, images: Path) -> Iterator[tuple[str | int, ...]]:
    for record in data.records:
        name, (height, width) = image_name(record.path, images), record.size
        numbers = texts(box_numbers(record.targets.boxes, CORNERS))
        if not numbers:  # a row without a box, or the image would not be in the table
            yield (name, width, height, "", "", "", "", "")
        for label, row in zip(record.targets.labels.tolist(), numbers, strict=True):
            yield (name, width, height, data.class_names[label], *row)
