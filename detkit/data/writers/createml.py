"""CreateML: one JSON file per split, with the images next to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from detkit.data.writers.class_list import write_class_list
from detkit.data.writers.json_file import write_json_labels
from detkit.data.writers.labeled import LabeledData, LabeledImage
from detkit.data.writers.numbers import CENTER_AND_SIZE, box_numbers
from detkit.data.writers.protocol import DEFAULTS, Holds, WriteOptions, image_name


@dataclass(frozen=True)
class CreateMlWriter:
    """``SPLIT/_annotations.createml.json``, with the images next to it; see :class:`~detkit.data.writers.protocol.Writer`."""

    holds: ClassVar[Holds] = Holds()
    options: WriteOptions = DEFAULTS

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong."""
        return folder / split

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split, and the list of classes."""
        images = self.image_folder(folder, split)
        entries = [
            {"image": image_name(record.path, images), "annotations": _annotations(record, data.class_names)} for record in data.records
        ]
        write_class_list(images / "classes.txt", data.class_names)
        write_json_labels(images / "_annotations.createml.json", entries)


def _annotations(record: LabeledImage, class_names: tuple[str, ...]) -> list[dict[str, Any]]:
    numbers = box_numbers(record.targets.boxes, CENTER_AND_SIZE).tolist()
    return [
        {"label": class_names[label], "coordinates": dict(zip(("x", "y", "width", "height"), row, strict=True))}
        for label, row in zip(record.targets.labels.tolist(), numbers, strict=True)
    ]
