"""Small data sets in memory, and as COCO files, for tests of functions that change data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from detkit.curation.parts import LabeledParts, Part
from detkit.data import DetectionData, ImageRecord, write_labels
from detkit.structures import Segmentations, Targets

CLASSES = ("cat", "dog", "traffic light")

Row = tuple[int, tuple[float, float, float, float]] | tuple[int, tuple[float, float, float, float], str]
"""A label, a box, and the letters of its flags: ``c`` crowd, ``d`` difficult, ``p`` with a polygon, ``m`` with a mask."""


def targets(*rows: Row) -> Targets:
    """Return the objects of an image."""
    flags = [row[2] if len(row) > 2 else "" for row in rows]
    boxes = torch.tensor([row[1] for row in rows], dtype=torch.float32).reshape(-1, 4)
    made = Targets.of(
        boxes,
        torch.tensor([row[0] for row in rows], dtype=torch.int64),
        torch.tensor(["c" in flag for flag in flags], dtype=torch.bool),
        torch.tensor(["d" in flag for flag in flags], dtype=torch.bool),
    )
    if not any("p" in flag or "m" in flag for flag in flags):
        return made
    values: list[Any] = [
        [diamond(box).ravel().tolist()] if "p" in flag else {"size": [9, 9], "counts": [0, 81]} if "m" in flag else None
        for box, flag in zip(boxes.tolist(), flags, strict=True)
    ]
    return made.replace(segmentations=Segmentations.of_values(values))


def diamond(box: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the polygon that touches the middle of each side of a box."""
    x1, y1, x2, y2 = box
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return np.array([[x, y1], [x2, y], [x, y2], [x1, y]], np.float32)


def part(images: Mapping[str, Sequence[Row]], size: tuple[int, int] = (80, 100), first_id: int = 1, root: str = "/data") -> Part:
    """Return a part of images by name, each with its objects."""
    records = [
        ImageRecord(Path(f"{root}/{name}"), number, size, targets(*rows)) for number, (name, rows) in enumerate(images.items(), first_id)
    ]
    return Part(DetectionData.of("data", CLASSES, records, (3, 5, 10)), tuple(images))


def parts(**given: Part) -> LabeledParts:
    """Return a data set of parts by name."""
    return LabeledParts("data", given)


def snapshot(data: LabeledParts) -> list[Any]:
    """Return all values of a data set, to see that a function left it as it was."""
    columns = ("labels", "boxes", "is_crowd", "is_difficult", "areas")
    return [
        (name, one.names, one.data.class_names, one.data.records.image_ids, *(getattr(one.data.records, key).tolist() for key in columns))
        for name, one in data
    ]


def write(data: LabeledParts, folder: Path, kind: str = "coco") -> Path:
    """Write a data set whose images are noise, into a folder."""
    from detkit.data.writers import image_folder

    random = np.random.default_rng(0)
    for name, one in data:
        root = image_folder(folder, kind, name)
        records = []
        for record, file in zip(one.data.records, one.names, strict=True):
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (*record.size, 3), np.uint8)).save(path)
            records.append(ImageRecord(path, record.image_id, record.size, record.targets))
        write_labels(DetectionData.of("data", one.data.class_names, records, one.data.category_ids), folder, kind, name)
    return folder
