"""Pascal VOC: one XML file per image, and a list of images per split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from detkit.checkpoint.atomic import atomic_write, write_text
from detkit.data.writers.labeled import LabeledData, LabeledImage
from detkit.data.writers.protocol import check_stems


class VocWriter:
    """``Annotations``, ``ImageSets/Main/SPLIT.txt`` and ``JPEGImages``; see :class:`~detkit.data.writers.protocol.ImageWise`."""

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of all splits belong."""
        del split
        return folder / "JPEGImages"

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split; crowd flags are lost, and boxes are rounded to whole pixels."""
        check_stems(data, "voc")
        for record in data.records:
            self.write_image(record, data.class_names, folder, split)
        self.finish(data, folder, split)

    def describe(self, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Do nothing: the classes are those of the boxes."""

    def write_image(self, record: LabeledImage, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the XML file of one image."""
        del split
        tree = ElementTree.ElementTree(_annotation(record, class_names))
        ElementTree.indent(tree)
        with atomic_write(folder / "Annotations" / f"{record.path.stem}.xml", sync=False) as temporary:
            tree.write(temporary, encoding="utf-8")

    def finish(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the list of the images."""
        path = folder / "ImageSets" / "Main" / f"{split}.txt"
        write_text(path, "".join(f"{record.path.stem}\n" for record in data.records))


def _annotation(record: LabeledImage, class_names: Sequence[str]) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = record.path.name
    size = ElementTree.SubElement(root, "size")
    for tag, value in (("width", record.size[1]), ("height", record.size[0]), ("depth", 3)):
        ElementTree.SubElement(size, tag).text = str(value)
    targets = record.targets
    for box, label, difficult in zip(targets.boxes.tolist(), targets.labels.tolist(), targets.is_difficult.tolist(), strict=True):
        node = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(node, "name").text = class_names[label]
        ElementTree.SubElement(node, "difficult").text = str(int(difficult))
        corners = ElementTree.SubElement(node, "bndbox")
        (xmin, xmax), (ymin, ymax) = _whole_pixels(box[0], box[2], record.size[1]), _whole_pixels(box[1], box[3], record.size[0])
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), (xmin, ymin, xmax, ymax), strict=True):
            ElementTree.SubElement(corners, tag).text = str(value)
    return root


def _whole_pixels(start: float, end: float, side: int) -> tuple[int, int]:
    """Return the first and last pixel of a side of a box, counted from 1: at least two, as readers take one for a click without a drag."""
    first, last = round(start + 1), round(end)
    if last > first:
        return first, last
    first = min(first, side - 1)
    return first, first + 1
