"""Pascal VOC: one XML file per image, a list of images per split, and CVAT's list of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from detkit.checkpoint.atomic import atomic_write, write_text
from detkit.data.writers.class_list import write_class_list
from detkit.data.writers.labeled import LabeledData, LabeledImage
from detkit.data.writers.numbers import CORNERS_FROM_ONE, box_numbers, point_numbers, text
from detkit.data.writers.outlines import polygons_of
from detkit.data.writers.protocol import DEFAULTS, Holds, WriteOptions, label_name, write_all

_THIN = 1e-9
"""Pixels by which a box of one pixel is widened: its first and last pixel are the same, which readers take for a click without a drag."""


@dataclass(frozen=True)
class VocWriter:
    """``Annotations``, ``ImageSets/Main/SPLIT.txt`` and ``JPEGImages``; see :class:`~detkit.data.writers.protocol.ImageWise`.

    Attributes:
        options: With ``whole_pixels``, boxes are rounded to whole pixels; else they have decimals where they need them.
    """

    holds: ClassVar[Holds] = Holds(difficult=True, polygons="in_addition", pieces=True, stems=True, one_folder=True, parts="any")
    options: WriteOptions = DEFAULTS

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of all splits belong."""
        del split
        return folder / "JPEGImages"

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split."""
        write_all(self, data, folder, split)

    def describe(self, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the class names to ``labelmap.txt``, as CVAT does."""
        del split
        write_class_list(folder / "labelmap.txt", class_names, heading="# label:color_rgb:parts:actions", ending=":::")

    def write_image(self, record: LabeledImage, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the XML file of one image."""
        tree = ElementTree.ElementTree(self._annotation(record, class_names))
        ElementTree.indent(tree)
        name = label_name(record.path, self.image_folder(folder, split), ".xml")
        with atomic_write(folder / "Annotations" / name, sync=False) as temporary:
            tree.write(temporary, encoding="utf-8")

    def finish(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the list of the images."""
        images = self.image_folder(folder, split)
        names = "".join(f"{label_name(Path(path), images)}\n" for path in data.records.paths)
        write_text(folder / "ImageSets" / "Main" / f"{split}.txt", names)

    def _annotation(self, record: LabeledImage, class_names: Sequence[str]) -> ElementTree.Element:
        root = ElementTree.Element("annotation")
        ElementTree.SubElement(root, "filename").text = record.path.name
        size = ElementTree.SubElement(root, "size")
        for tag, value in (("width", record.size[1]), ("height", record.size[0]), ("depth", 3)):
            ElementTree.SubElement(size, tag).text = str(value)
        targets = record.targets
        boxes = self._boxes(record)
        for row, (label, difficult) in enumerate(zip(targets.labels.tolist(), targets.is_difficult.tolist(), strict=True)):
            node = ElementTree.SubElement(root, "object")
            ElementTree.SubElement(node, "name").text = class_names[label]
            ElementTree.SubElement(node, "difficult").text = str(int(difficult))
            corners = ElementTree.SubElement(node, "bndbox")
            for tag, number in zip(("xmin", "ymin", "xmax", "ymax"), boxes[row], strict=True):
                ElementTree.SubElement(corners, tag).text = text(number)
            _add_polygons(node, targets, row)
        return root

    def _boxes(self, record: LabeledImage) -> list[list[float]]:
        boxes = record.targets.boxes
        if self.options.whole_pixels:
            return [_whole_pixels(box, record.size) for box in boxes.tolist()]
        numbers = box_numbers(boxes, CORNERS_FROM_ONE)
        thin = numbers[:, :2] == numbers[:, 2:]
        numbers[:, 2:][thin] += _THIN
        rows: list[list[float]] = numbers.tolist()
        return rows


def _add_polygons(node: ElementTree.Element, targets: Any, row: int) -> None:
    """Append the outlines of an object; a point counted from 1 is the center of a pixel."""
    for polygon in polygons_of(targets.segmentations, row):
        points = ElementTree.SubElement(node, "polygon")
        for x, y in point_numbers(polygon, offset=0.5).tolist():
            point = ElementTree.SubElement(points, "pt")
            ElementTree.SubElement(point, "x").text = text(x)
            ElementTree.SubElement(point, "y").text = text(y)


def _whole_pixels(box: Sequence[float], size: tuple[int, int]) -> list[float]:
    """Return the box in whole pixels counted from 1."""
    (xmin, xmax), (ymin, ymax) = _first_and_last(box[0], box[2], size[1]), _first_and_last(box[1], box[3], size[0])
    return [xmin, ymin, xmax, ymax]


def _first_and_last(start: float, end: float, side: int) -> tuple[int, int]:
    """Return the first and last pixel of a side of a box, counted from 1: at least two, as readers take one for a click without a drag."""
    first, last = round(start + 1), round(end)
    if last > first:
        return first, last
    first = min(first, side - 1)
    return first, first + 1
