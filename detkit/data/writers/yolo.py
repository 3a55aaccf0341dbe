"""YOLO: a ``data.yaml``, one text file per image, and next to these labelImg's ``classes.txt``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

import yaml

from detkit.checkpoint.atomic import atomic_write, write_text
from detkit.data.writers.class_list import fits_a_list, write_class_list
from detkit.data.writers.labeled import LabeledData, LabeledImage
from detkit.data.writers.numbers import CENTER_AND_SIZE, box_numbers, point_numbers, texts
from detkit.data.writers.outlines import as_rectangle, joined, polygons_of
from detkit.data.writers.protocol import DEFAULTS, Holds, WriteOptions, image_name, write_all

_FIRST = 6
"""Decimals of a fraction of the image that are tried first."""


@dataclass(frozen=True)
class YoloWriter:
    """``data.yaml``, ``labels/SPLIT`` and ``images/SPLIT``; see :class:`~detkit.data.writers.protocol.ImageWise`.

    In each folder of label files there is a ``classes.txt``, from which labelImg reads the names of the classes.

    Attributes:
        options: With ``polygons``, a file with an outline has outlines only, since other tools do not read a mixture; boxes are rectangles.
    """

    holds: ClassVar[Holds] = Holds(outer_spaces=True, polygons="instead", stems=True, parts="three")
    options: WriteOptions = DEFAULTS

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong."""
        return folder / "images" / split

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split."""
        write_all(self, data, folder, split)

    def describe(self, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the split and the class names to ``data.yaml``."""
        path = folder / "data.yaml"
        content = yaml.safe_load(path.read_text("utf-8-sig")) if path.is_file() else {}
        content.update({split: f"images/{split}", "names": dict(enumerate(class_names))})
        write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000))

    def write_image(self, record: LabeledImage, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the text file of one image."""
        del class_names
        images = self.image_folder(folder, split)
        with atomic_write(_label_file(images / image_name(record.path, images)), sync=False) as temporary:
            temporary.write_text("".join(self._lines(record)), "utf-8")

    def finish(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the class names to ``classes.txt`` in each folder of label files, unless an image's labels are there.

        They are in ``data.yaml`` as well, which is what detkit reads, so names that a list of lines cannot hold are only there.
        """
        if not fits_a_list(data.class_names):
            return
        images = self.image_folder(folder, split)
        files = {_label_file(images / image_name(Path(path), images)) for path in data.records.paths}
        taken = {file.with_name(file.name.lower()) for file in files}  # where case does not count, these are the same file
        for path in {file.with_name("classes.txt") for file in files} - taken:
            write_class_list(path, data.class_names)

    def _lines(self, record: LabeledImage) -> list[str]:
        labels, size = record.targets.labels.tolist(), (record.size[1], record.size[0])
        outlines = [polygons_of(record.targets.segmentations, row) if self.options.polygons else [] for row in range(len(labels))]
        if any(outlines):
            rows = [joined(polygons) if polygons else as_rectangle(record.targets.boxes[row]) for row, polygons in enumerate(outlines)]
            numbers = [list(chain.from_iterable(texts(point_numbers(row, size, first=_FIRST)))) for row in rows]
        else:
            numbers = texts(box_numbers(record.targets.boxes, CENTER_AND_SIZE, size, _FIRST))
        return [f"{label} {' '.join(row)}\n" for label, row in zip(labels, numbers, strict=True)]


def _label_file(image: Path) -> Path:
    """Return where tools look for the labels of an image: the last folder ``images`` in its path, of any case, is ``labels`` instead."""
    parts = list(image.with_suffix(".txt").parts)
    last = max(index for index, part in enumerate(parts[:-1]) if part.lower() == "images")
    return Path(*parts[:last], "labels", *parts[last + 1 :])
