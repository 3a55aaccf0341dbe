"""Label Studio: one JSON list of tasks per split, as the tool exports and imports it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from detkit.data.writers.class_list import write_class_list
from detkit.data.writers.json_file import write_json_labels
from detkit.data.writers.labeled import LabeledData, LabeledImage
from detkit.data.writers.numbers import CORNER_AND_SIZE, box_numbers, point_numbers
from detkit.data.writers.outlines import joined, polygons_of
from detkit.data.writers.protocol import DEFAULTS, Holds, WriteOptions, image_name, numbered

_PERCENT = 100.0
_FIRST = 4
"""Decimals of percent of the image that are tried first."""


@dataclass(frozen=True)
class LabelStudioWriter:
    """``SPLIT.json``, ``classes.txt`` and ``images/SPLIT``; see :class:`~detkit.data.writers.protocol.Writer`.

    Attributes:
        options: With ``polygons``, an object with outlines is a polygon; else every object is a rectangle.
    """

    holds: ClassVar[Holds] = Holds(image_ids=True, polygons="instead")
    options: WriteOptions = DEFAULTS

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong."""
        return folder / "images" / split

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split, and the list of classes."""
        images = self.image_folder(folder, split)
        tasks = [
            {
                "id": number,
                "data": {"image": f"/data/local-files/?d={quote(f'images/{split}/{image_name(record.path, images)}')}"},
                "annotations": [{"id": number, "result": self._regions(record, number, data.class_names)}],
            }
            for number, record in zip(numbered(data.records.image_ids), data.records, strict=True)
        ]
        write_class_list(folder / "classes.txt", data.class_names)
        write_json_labels(folder / f"{split}.json", tasks)

    def _regions(self, record: LabeledImage, task: int | str, class_names: tuple[str, ...]) -> list[dict[str, Any]]:
        (height, width), targets = record.size, record.targets
        unit = (width / _PERCENT, height / _PERCENT)
        boxes = box_numbers(targets.boxes, CORNER_AND_SIZE, unit, _FIRST).tolist()
        regions = []
        for row, label in enumerate(targets.labels.tolist()):
            polygons = polygons_of(targets.segmentations, row) if self.options.polygons else []
            kind = "polygonlabels" if polygons else "rectanglelabels"
            if polygons:
                value: dict[str, Any] = {"points": point_numbers(joined(polygons), unit, first=_FIRST).tolist(), "closed": True}
            else:
                value = {**dict(zip(("x", "y", "width", "height"), boxes[row], strict=True)), "rotation": 0}
            region = {
                "id": f"{task}-{row}",
                "type": kind,
                "from_name": "label",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {**value, kind: [class_names[label]]},
            }
            regions.append(region)
        return regions
