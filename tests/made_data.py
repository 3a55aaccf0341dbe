"""Small labeled data sets with everything that may go wrong between formats, written as COCO files."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detkit.curation.parts import LabeledParts

CLASSES = ("zebra", "ärger", "traffic light", "apple", "unused")
"""Not sorted, with a space, with a letter beyond ASCII, and one without boxes."""
NAMES = ("a.png", "sub/b.png", "sub/deeper/c d.png", "日本/é.png", "two.dots.png", "plain.png")


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file that has a size but hardly any pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def write_coco(
    folder: Path,
    split: str,
    images: Mapping[str, tuple[int, int]],
    annotations: Sequence[Mapping[str, Any]],
    classes: Mapping[int, str],
    first_id: int = 1,
) -> None:
    """Write a part of a COCO data set.

    Args:
        folder: The folder of the data set.
        split: The name of the part.
        images: Width and height by name.
        annotations: Entries whose ``image`` is the index of the image.
        classes: Class names by category id.
        first_id: Id of the first image.
    """
    for name, size in images.items():
        file = folder / "images" / split / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png_header(*size) + name.encode())
    rows = [
        {"area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0, **{key: value for key, value in row.items() if key != "image"}}
        | {"id": number, "image_id": first_id + row["image"]}
        for number, row in enumerate(annotations, 1)
    ]
    content = {
        "images": [
            {"id": first_id + index, "file_name": name, "width": size[0], "height": size[1]}
            for index, (name, size) in enumerate(images.items())
        ],
        "annotations": rows,
        "categories": [{"id": number, "name": name} for number, name in classes.items()],
    }
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content), "utf-8")


def random_boxes(random: np.random.Generator, count: int, width: int, height: int, decimals: int | None) -> list[list[float]]:
    """Return boxes ``x y width height`` inside of an image, of a pixel or more and with some decimals; None: all that there are."""
    corners = np.sort(random.uniform(0, 1, (count, 2, 2)), axis=1) * (width - 2, height - 2)
    xywh = np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0] + 1.5], axis=1)
    rows: list[list[float]] = (xywh if decimals is None else np.round(xywh, decimals)).tolist()
    return rows


def write_mixed(
    folder: Path, *, outlines: bool = False, sides: Sequence[tuple[int, int]] = ((20_000, 8_000), (333, 19_999), (640, 480))
) -> None:
    """Write two parts with images of many sizes, boxes with and without decimals, crowds, difficult objects and an empty image."""
    random = np.random.default_rng(0)
    classes = dict(zip((2, 3, 5, 8, 13), CLASSES, strict=True))
    for part, (split, names) in enumerate({"train": NAMES[:3], "val": NAMES[3:]}.items()):
        images = {name: sides[index % len(sides)] for index, name in enumerate(names)}
        annotations: list[dict[str, Any]] = []
        for image, (width, height) in enumerate(list(images.values())[:-1]):
            for decimals in (0, 1, 2, None):
                for box in random_boxes(random, 6, width, height, decimals):
                    annotations.append({"image": image, "category_id": int(random.choice([2, 3, 5, 8])), "bbox": box})
            annotations.append({"image": image, "category_id": 2, "bbox": [0, 0, width, height]})
            annotations.append({"image": image, "category_id": 3, "bbox": [3, 4.5, 1, 0.25]})
            annotations += [{**annotations[-3], "iscrowd": 1}, {**annotations[-4], "difficult": 1}]
            if outlines:
                annotations += _outlined(image, width, height)
        write_coco(folder, split, images, annotations, classes, first_id=100 * (part + 1))


def _outlined(image: int, width: int, height: int) -> list[dict[str, Any]]:
    """Return objects with a polygon, with two, and with a mask, of which the last has another box."""
    triangle, other = [10.5, 20, 30.25, 20, 30.25, 40.125], [40, 50, 60, 50, 60, 70.5]
    mask = {"size": [height, width], "counts": [height * 4 + 7, 3, height * width - height * 4 - 10]}
    return [
        {"image": image, "category_id": 5, "bbox": [10.5, 20, 19.75, 20.125], "segmentation": [triangle]},
        {"image": image, "category_id": 5, "bbox": [10.5, 20, 49.5, 50.5], "segmentation": [triangle, other]},
        {"image": image, "category_id": 8, "bbox": [1, 1, 20, 20], "segmentation": mask, "iscrowd": 1},
    ]


def tree_hash(folder: Path) -> dict[str, str]:
    """Return a hash of every file below a folder, by name, with the times of modification."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}" for path in files}


def boxes_by_name(data: LabeledParts) -> dict[tuple[str, str], list[tuple[str, tuple[float, ...]]]]:
    """Return the class and box of each object, sorted, by part and name of the image; crowds and difficult objects have no class."""
    rows = {}
    for part_name, part in data:
        for name, record in zip(part.names, part.data.records, strict=True):
            flags = record.targets.is_crowd | record.targets.is_difficult
            pairs = zip(record.targets.labels.tolist(), flags.tolist(), strict=True)
            labels = ["" if flag else data.class_names[label] for label, flag in pairs]
            rows[part_name, name] = sorted(zip(labels, map(tuple, record.targets.boxes.tolist()), strict=True))
    return rows
