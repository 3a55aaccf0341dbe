"""COCO JSON: one file per split, which keeps every column."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from detkit.checkpoint import write_text
from detkit.data.writers.labeled import LabeledData, LabeledImage


class CocoWriter:
    """``annotations/instances_SPLIT.json`` about ``images/SPLIT``; see :class:`~detkit.data.writers.protocol.Writer`."""

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong."""
        return folder / "images" / split

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split."""
        path = folder / "annotations" / f"instances_{split}.json"
        content = json.dumps(coco_dict(data, self.image_folder(folder, split)))
        write_text(path, content)


def coco_dict(data: LabeledData, folder: Path) -> dict[str, Any]:
    """Return the data as a COCO JSON object; file names are relative to ``folder``, image ids are kept if all are numbers."""
    numeric = all(isinstance(image_id, int) for image_id in data.records.image_ids)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, record in enumerate(data.records, 1):
        image_id = record.image_id if numeric else number
        name = Path(os.path.relpath(record.path, folder)).as_posix()
        images.append({"id": image_id, "file_name": name, "height": record.size[0], "width": record.size[1]})
        annotations += [
            {"id": len(annotations) + row, "image_id": image_id, **entry} for row, entry in enumerate(_entries(record, data), 1)
        ]
    categories = [{"id": category_id, "name": name} for category_id, name in zip(data.category_ids, data.class_names, strict=True)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _entries(record: LabeledImage, data: LabeledData) -> list[dict[str, Any]]:
    targets = record.targets
    columns = (targets.boxes, targets.labels, targets.areas, targets.is_crowd, targets.is_difficult)
    entries: list[dict[str, Any]] = []
    for (x1, y1, x2, y2), label, area, crowd, difficult in zip(*(column.tolist() for column in columns), strict=True):
        entry = {"category_id": data.category_ids[label], "bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "iscrowd": int(crowd)}
        segmentation = None if targets.segmentations is None else targets.segmentations.stored(len(entries))
        entry |= {"difficult": 1} if difficult else {}
        entries.append(entry if segmentation is None else {**entry, "segmentation": segmentation})
    return entries
