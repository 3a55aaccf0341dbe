"""Pascal VOC: one XML file per image, and a list of images per split."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from detkit.data.records import DetectionData, ImageRecord
from detkit.data.writers.protocol import check_stems


class VocWriter:
    """``Annotations``, ``ImageSets/Main/SPLIT.txt`` and ``JPEGImages``; see :class:`~detkit.data.writers.protocol.Writer`."""

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of all splits belong."""
        del split
        return folder / "JPEGImages"

    def write(self, data: DetectionData, folder: Path, split: str) -> None:
        """Write the labels of one split; crowd flags are lost, and boxes are rounded to whole pixels."""
        check_stems(data, "voc")
        annotations, lists = folder / "Annotations", folder / "ImageSets" / "Main"
        annotations.mkdir(parents=True, exist_ok=True)
        lists.mkdir(parents=True, exist_ok=True)
        for record in data.records:
            tree = ElementTree.ElementTree(_annotation(record, data.class_names))
            ElementTree.indent(tree)
            tree.write(annotations / f"{record.path.stem}.xml", encoding="utf-8")
        (lists / f"{split}.txt").write_text("".join(f"{record.path.stem}\n" for record in data.records), "utf-8")


def _annotation(record: ImageRecord, class_names: tuple[str, ...]) -> ElementTree.Element:
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
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), (box[0] + 1, box[1] + 1, box[2], box[3]), strict=True):
            ElementTree.SubElement(corners, tag).text = str(round(value))
    return root
