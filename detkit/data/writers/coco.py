"""COCO JSON: one file per split, which keeps every column."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from detkit.checkpoint.atomic import atomic_write
from detkit.data.writers.json_file import json_text
from detkit.data.writers.labeled import LabeledData, LabeledImage
from detkit.data.writers.numbers import CORNER_AND_SIZE, box_numbers, plain
from detkit.data.writers.protocol import DEFAULTS, Holds, WriteOptions, numbered

_BLOCK = 1000
"""Images whose annotations are in memory at once."""


@dataclass(frozen=True)
class CocoWriter:
    """``annotations/instances_SPLIT.json`` about ``images/SPLIT``; see :class:`~detkit.data.writers.protocol.Writer`."""

    holds: ClassVar[Holds] = Holds(
        crowds=True,
        difficult=True,
        areas=True,
        image_ids=True,
        category_ids=True,
        outer_spaces=True,
        polygons="in_addition",
        masks="in_addition",
        pieces=True,
        parts="any",
    )
    options: WriteOptions = DEFAULTS

    def image_folder(self, folder: Path, split: str) -> Path:
        """Return where the images of a split belong."""
        return folder / "images" / split

    def write(self, data: LabeledData, folder: Path, split: str) -> None:
        """Write the labels of one split, part by part, because all of them as objects would take much memory."""
        images = list(_images(data, self.image_folder(folder, split)))
        lists = {"images": ([image] for image in images), "annotations": _annotations(data), "categories": [_categories(data)]}
        with (
            atomic_write(folder / "annotations" / f"instances_{split}.json") as temporary,
            temporary.open("w", encoding="utf-8") as file,
        ):
            for key, parts in lists.items():
                file.write(f'{"{" if key == "images" else ","}\n"{key}": [')
                separator = "\n"
                for part in parts:
                    for entry in part:
                        file.write(separator + json_text(entry))
                        separator = ",\n"
                file.write("\n]")
            file.write("}\n")


def coco_dict(data: LabeledData, folder: Path) -> dict[str, Any]:
    """Return the data as a COCO JSON object.

    File names are relative to ``folder``. Image ids are kept if all are numbers, category ids if they are in the order of the classes,
    which is the order in which they are read.
    """
    annotations = [entry for part in _annotations(data) for entry in part]
    return {"images": list(_images(data, folder)), "annotations": annotations, "categories": _categories(data)}


def kept_category_ids(category_ids: Sequence[int]) -> tuple[int, ...]:
    """Return the ids of the classes in a COCO file: the given ones if they are ascending, else 1 to K."""
    ascending = all(first < second for first, second in pairwise(category_ids))
    return tuple(category_ids) if ascending else tuple(range(1, len(category_ids) + 1))


def _images(data: LabeledData, folder: Path) -> Iterator[dict[str, Any]]:
    for image_id, record in zip(numbered(data.records.image_ids), data.records, strict=True):
        name = Path(os.path.relpath(record.path, folder)).as_posix()
        yield {"id": image_id, "file_name": name, "height": record.size[0], "width": record.size[1]}


def _categories(data: LabeledData) -> list[dict[str, Any]]:
    ids = kept_category_ids(data.category_ids)
    return [{"id": category_id, "name": name} for category_id, name in zip(ids, data.class_names, strict=True)]


def _annotations(data: LabeledData) -> Iterator[list[dict[str, Any]]]:
    """Yield the annotations of some images after those of others."""
    ids, records, count = iter(numbered(data.records.image_ids)), iter(data.records), 0
    while block := list(islice(records, _BLOCK)):
        entries = _entries(block, list(islice(ids, _BLOCK)), kept_category_ids(data.category_ids))
        yield [{"id": count + number, **entry} for number, entry in enumerate(entries, 1)]
        count += len(entries)


def _entries(records: list[LabeledImage], image_ids: list[int | str], category_ids: Sequence[int]) -> list[dict[str, Any]]:
    boxes = box_numbers(_column(records, "boxes").reshape(-1, 4), CORNER_AND_SIZE).tolist()
    flags = (_column(records, name).tolist() for name in ("labels", "is_crowd", "is_difficult"))
    rows = ((image_id, record.targets, row) for image_id, record in zip(image_ids, records, strict=True) for row in range(_count(record)))
    entries = []
    columns = zip(rows, boxes, plain(_column(records, "areas")).tolist(), *flags, strict=True)
    for (image_id, targets, row), box, area, label, crowd, difficult in columns:
        entry = {"image_id": image_id, "category_id": category_ids[label], "bbox": box, "area": area, "iscrowd": int(crowd)}
        segmentation = None if targets.segmentations is None else targets.segmentations.stored(row)
        entry |= {"difficult": 1} if difficult else {}
        entries.append(entry if segmentation is None else {**entry, "segmentation": segmentation})
    return entries


def _count(record: LabeledImage) -> int:
    return len(record.targets.boxes)


def _column(records: list[LabeledImage], name: str) -> Any:
    return np.concatenate([np.asarray(getattr(record.targets, name)) for record in records])
