"""labelme: one JSON file next to each image, and a list of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from detkit.checkpoint.atomic import atomic_write
from detkit.data.writers.class_list import write_class_list
from detkit.data.writers.json_file import json_text
from detkit.data.writers.labeled import LabeledData, LabeledImage
from detkit.data.writers.numbers import CORNERS, box_numbers, point_numbers
from detkit.data.writers.outlines import joined, polygons_of
from detkit.data.writers.protocol import DEFAULTS, Holds, WriteOptions, write_all

_VERSION = "5.5.0"
"""The version of labelme whose files these are like."""


@dataclass(frozen=True)
class LabelmeWriter:
    """``SPLIT/*.json`` next to the images, and ``labels.txt``; see :class:`~detkit.data.writers.protocol.ImageWise`.

    Attributes:
        options: With ``polygons``, an object with outlines is a polygon; else every object is a rectangle.
    """

    holds: ClassVar[Holds] = Holds(difficult=True, polygons="instead", stems=True)
    options: WriteOptions = DEFAULTS

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong."""
        return folder / split

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split."""
        write_all(self, data, folder, split)

    def describe(self, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the class names to ``labels.txt``, which labelme reads with ``--labels``."""
        del split
        write_class_list(folder / "labels.txt", class_names)

    def write_image(self, record: LabeledImage, class_names: Sequence[str], folder: Path, split: str) -> None:
        """Write the JSON file of one image."""
        del folder, split
        content: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": self._shapes(record, class_names),
            "imagePath": record.path.name,
            "imageData": None,
            "imageHeight": record.size[0],
            "imageWidth": record.size[1],
        }
        with atomic_write(record.path.with_suffix(".json"), sync=False) as temporary:
            temporary.write_text(json_text(content, indent=2), "utf-8")

    def finish(self, data: LabeledData, folder: Path, split: str) -> None:
        """Do nothing: the files of the images and the list of classes are all there is."""

    def _shapes(self, record: LabeledImage, class_names: Sequence[str]) -> list[dict[str, Any]]:
        targets = record.targets
        shapes = []
        boxes = box_numbers(targets.boxes, CORNERS).reshape(-1, 2, 2).tolist()
        for row, (label, difficult) in enumerate(zip(targets.labels.tolist(), targets.is_difficult.tolist(), strict=True)):
            polygons = polygons_of(targets.segmentations, row) if self.options.polygons else []
            points = point_numbers(joined(polygons)).tolist() if polygons else boxes[row]
            shape = {
                "label": class_names[label],
                "points": points,
                "group_id": None,
                "description": "",
                "difficult": difficult,
                "shape_type": "polygon" if polygons else "rectangle",
                "flags": {},
            }
            shapes.append(shape)
        return shapes
