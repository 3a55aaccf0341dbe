"""Write labels as COCO JSON, Pascal VOC or YOLO, in the folders where the readers look for them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import yaml

from detkit.data.records import DetectionData, ImageRecord

Kind = Literal["coco", "voc", "yolo"]


def image_folder(folder: Path, kind: Kind, split: str) -> Path:
    """Return the folder of the images of a split, in a data set of this format at ``folder``."""
    return folder / "JPEGImages" if kind == "voc" else folder / "images" / split


def write_labels(data: DetectionData, folder: str | Path, kind: Kind, split: str) -> None:
    """Write the labels of one split; its images must be in :func:`image_folder`.

    COCO keeps everything (difficult in a field of its own). VOC loses the crowd flags and rounds to whole pixels. YOLO keeps only
    boxes and classes.

    Raises:
        ValueError: If the format is unknown, or if two images would share a label file because their names without extension are equal.
    """
    writers = {"coco": _write_coco, "voc": _write_voc, "yolo": _write_yolo}
    if kind not in writers:
        raise ValueError(f"label format {kind!r}: expected one of {', '.join(writers)}")
    if kind != "coco":
        _check_stems(data, kind)
    writers[kind](data, Path(folder), split)


def _check_stems(data: DetectionData, kind: Kind) -> None:
    known: dict[str, Path] = {}
    for path in map(Path, data.records.paths):
        other = known.setdefault(path.stem, path)
        if other != path:
            raise ValueError(f"{path}: its {kind} label file would also be that of {other}; rename one of the two, or write coco")


def coco_dict(data: DetectionData, folder: Path) -> dict[str, Any]:
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


def _entries(record: ImageRecord, data: DetectionData) -> list[dict[str, Any]]:
    targets = record.targets
    columns = (targets.boxes, targets.labels, targets.areas, targets.is_crowd, targets.is_difficult)
    entries: list[dict[str, Any]] = []
    for (x1, y1, x2, y2), label, area, crowd, difficult in zip(*(column.tolist() for column in columns), strict=True):
        entry = {"category_id": data.category_ids[label], "bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "iscrowd": int(crowd)}
        entries.append({**entry, "difficult": 1} if difficult else entry)
    return entries


def _write_coco(data: DetectionData, folder: Path, split: str) -> None:
    path = folder / "annotations" / f"instances_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coco_dict(data, image_folder(folder, "coco", split))), "utf-8")


def _write_voc(data: DetectionData, folder: Path, split: str) -> None:
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


def _write_yolo(data: DetectionData, folder: Path, split: str) -> None:
    labels = folder / "labels" / split
    labels.mkdir(parents=True, exist_ok=True)
    for record in data.records:
        (labels / f"{record.path.stem}.txt").write_text("".join(_yolo_lines(record)), "utf-8")
    path = folder / "data.yaml"
    content = yaml.safe_load(path.read_text("utf-8-sig")) if path.is_file() else {}
    content.update({split: f"images/{split}", "names": dict(enumerate(data.class_names))})
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")


def _yolo_lines(record: ImageRecord) -> list[str]:
    height, width = record.size
    lines = []
    for (x1, y1, x2, y2), label in zip(record.targets.boxes.tolist(), record.targets.labels.tolist(), strict=True):
        numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        lines.append(f"{label} {' '.join(f'{number:.8f}' for number in numbers)}\n")
    return lines
