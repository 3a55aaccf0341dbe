"""CVAT for images: one XML file per split, with the classes and all images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np

from detkit.checkpoint.atomic import atomic_write
from detkit.data.writers.labeled import LabeledData, LabeledImage
from detkit.data.writers.numbers import CORNERS, box_numbers, point_numbers, text, texts
from detkit.data.writers.outlines import joined, mask_of, polygons_of
from detkit.data.writers.protocol import DEFAULTS, Holds, WriteOptions, image_name, numbered
from detkit.structures.run_lengths import mask_array

_CHECKBOX = (("mutable", "False"), ("input_type", "checkbox"), ("default_value", "false"), ("values", ""))
_FLAGS = ("difficult", "is_crowd")
"""Attributes of every class, by the names that CVAT gives them when it imports Pascal VOC and COCO."""


@dataclass(frozen=True)
class CvatWriter:
    """``SPLIT/annotations.xml`` and ``SPLIT/images``; see :class:`~detkit.data.writers.protocol.Writer`.

    Attributes:
        options: With ``polygons``, an object with an outline is a polygon or a mask; else every object is a box.
    """

    holds: ClassVar[Holds] = Holds(crowds=True, difficult=True, image_ids=True, polygons="instead", masks="instead")
    options: WriteOptions = DEFAULTS

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong."""
        return folder / split / "images"

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split; attributes mark crowds and difficult objects."""
        root = ElementTree.Element("annotations")
        ElementTree.SubElement(root, "version").text = "1.1"
        root.append(_meta(data.class_names, split, len(data.records.paths)))
        images = self.image_folder(folder, split)
        for image_id, record in zip(numbered(data.records.image_ids), data.records, strict=True):
            root.append(self._image(record, image_id, images, data.class_names))
        ElementTree.indent(root)
        with atomic_write(folder / split / "annotations.xml") as temporary:
            ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)

    def _image(self, record: LabeledImage, image_id: int | str, images: Path, class_names: Sequence[str]) -> ElementTree.Element:
        height, width = record.size
        values = {"id": str(image_id), "name": image_name(record.path, images), "width": str(width), "height": str(height)}
        node = ElementTree.Element("image", values)
        targets = record.targets
        boxes = texts(box_numbers(targets.boxes, CORNERS))
        for row, label in enumerate(targets.labels.tolist()):
            shape = self._shape(targets, row, boxes[row])
            shape.attrib |= {"label": class_names[label], "source": "manual", "occluded": "0", "z_order": "0"}
            for name, values_of in zip(_FLAGS, (targets.is_difficult, targets.is_crowd), strict=True):
                if values_of[row]:
                    ElementTree.SubElement(shape, "attribute", {"name": name}).text = "true"
            node.append(shape)
        return node

    def _shape(self, targets: Any, row: int, box: list[str]) -> ElementTree.Element:
        polygons = polygons_of(targets.segmentations, row, traces_masks=False) if self.options.polygons else []
        mask = mask_of(targets.segmentations, row) if self.options.polygons else None
        if polygons:
            points = ";".join(f"{text(x)},{text(y)}" for x, y in point_numbers(joined(polygons)).tolist())
            return ElementTree.Element("polygon", {"points": points})
        if mask is not None and (pixels := mask_array(mask)).any():
            return ElementTree.Element("mask", _run_lengths(pixels))
        return ElementTree.Element("box", dict(zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True)))


def _run_lengths(pixels: Any) -> dict[str, str]:
    """Return a mask as CVAT states it: lengths of runs along the rows of the box around it, of which the first is outside."""
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    inside = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    flat = np.concatenate([[False], inside.reshape(-1)])
    changes = np.flatnonzero(np.diff(flat, append=~flat[-1:]))
    lengths = np.diff(np.concatenate([[0], changes]))
    return {
        "rle": ", ".join(map(str, lengths.tolist())),
        "left": str(columns[0]),
        "top": str(rows[0]),
        "width": str(inside.shape[1]),
        "height": str(inside.shape[0]),
    }


def _meta(class_names: Sequence[str], split: str, count: int) -> ElementTree.Element:
    """Return the description of the task, with the classes in their order."""
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    for tag, value in (("name", split), ("size", str(count)), ("mode", "annotation"), ("subset", split)):
        ElementTree.SubElement(task, tag).text = value
    labels = ElementTree.SubElement(task, "labels")
    for name in class_names:
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = name
        attributes = ElementTree.SubElement(label, "attributes")
        for flag in _FLAGS:
            attribute = ElementTree.SubElement(attributes, "attribute")
            for tag, value in (("name", flag), *_CHECKBOX):
                ElementTree.SubElement(attribute, tag).text = value
    return meta
