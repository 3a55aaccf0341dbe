"""COCO JSON: pictures, annotations and categories in one file."""

from __future__ import annotations

import gc
import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from detkit.data.readers.assemble import Floats, RawLabels, assemble, inside
from detkit.data.readers.coco_files import annotation_files, image_folder, split_names
from detkit.data.readers.protocol import chosen_split
from detkit.data.records import CocoFile, DetectionData, ImageId
from detkit.data.report import ReadReport, Remark
from detkit.structures import Size


class CocoReader:
    """Boxes ``x y width height`` from 0; ids, crowd flags and areas are kept as published."""

    name = "COCO JSON"
    expects = "a .json file, or a folder with annotations/*.json or */_annotations.coco.json"

    def recognises(self, path: Path) -> bool:
        """A JSON file, or a folder that holds some where COCO or Roboflow put them."""
        return path.suffix.lower() == ".json" if path.is_file() else bool(annotation_files(path))

    def splits(self, path: Path) -> tuple[str, ...]:
        """The names of a folder's annotation files: ``instances_train2017.json`` is ``train2017``."""
        return () if path.is_file() else split_names(annotation_files(path))

    def read(self, path: Path, images: Path | None, split: str | None, check: int) -> DetectionData:
        """Read one annotation file; see :class:`detkit.data.readers.protocol.Reader`."""
        part = chosen_split(path, split, self.splits(path))
        if path.is_dir():
            path = annotation_files(path)[part or ""]
        with _without_garbage_collection():
            content = _content(path)
            names, ids = _categories(content["categories"], path)
            raw = _labels(content, ids, path, images)
        records = assemble(raw, check)
        labels = {category: label for label, category in enumerate(ids)}
        return DetectionData(str(path), names, ids, records, raw.report, CocoFile(str(path), labels))


_WITHOUT_MASKS = re.compile(rb'"segmentation"\s*:\s*\[[\[\]0-9.eE+\-,\s]*\]')
"""Polygons, which are two thirds of COCO's files and of the memory they take once parsed. A quote inside a JSON string is
escaped, so this can match nothing but a key and its numbers."""


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Millions of small lists make the collector walk them again and again; nothing here is cyclic."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _content(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    if not data.strip():
        raise ValueError(f"{path}: the file is empty; expected COCO JSON")
    try:
        content = from_json(_WITHOUT_MASKS.sub(b'"segmentation":0', data))
    except ValueError:
        content = _parsed(data, path)
    if isinstance(content, list):
        raise ValueError(f"{path}: expected COCO annotations, got a list, as in a file of results; give the ground truth here")
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a COCO object with images, annotations and categories, got {type(content).__name__}")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            found = ", ".join(content) or "nothing"
            raise ValueError(f"{path}: expected a list {key!r}, as COCO's instances files have, found the keys: {found}")
    return content


def _parsed(data: bytes, path: Path) -> Any:
    """As it stands in the file, so that the place told is the file's."""
    try:
        return from_json(data)
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); the file may be cut off, fetch or export it again") from None


def _categories(entries: list[Any], path: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and ids, in the order of the ids, which is the order people know the classes by."""
    try:
        pairs = [(entry["id"], entry["name"]) for entry in entries]
    except (KeyError, TypeError):
        raise ValueError(f"{path}: every category needs an id and a name; got {entries[:3]}") from None
    for number, name in pairs:
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(name, str) or not name:
            raise ValueError(f"{path}: category id {number!r}, name {name!r}: expected a whole number and a text")
    repeated = [number for number, count in Counter(number for number, _ in pairs).items() if count > 1]
    if repeated:
        raise ValueError(f"{path}: category id {repeated[0]} is given to several categories; every category needs its own")
    if not pairs:
        raise ValueError(f"{path}: it lists no categories; expected at least one")
    pairs.sort()
    return tuple(name for _, name in pairs), tuple(number for number, _ in pairs)


def _labels(content: dict[str, Any], category_ids: tuple[int, ...], path: Path, images: Path | None) -> RawLabels:
    pictures, report = content["images"], ReadReport(str(path))
    ids, names, sizes = _pictures(pictures, path)
    _note_repeated(names, report)
    folder = images or image_folder(path, names)
    annotations = _of_listed_pictures(content["annotations"], ids, report, path)
    place = {image_id: index for index, image_id in enumerate(ids)}
    label = {number: index for index, number in enumerate(category_ids)}
    classes = _column(annotations, "category_id", path)
    boxes = _boxes(annotations, path)
    crowd = np.array([_is_set(entry, "iscrowd") for entry in annotations], np.bool_)
    return RawLabels(
        source=str(path),
        paths=[inside(folder, name, str(path)) for name in names],
        names=names,
        image_ids=ids,
        sizes=sizes,
        image_index=np.array([place[entry["image_id"]] for entry in annotations], np.int64),
        boxes=boxes,
        labels=np.array([label.get(number, -1) for number in classes], np.int64),
        is_crowd=crowd,
        is_difficult=np.array([_is_set(entry, "difficult") for entry in annotations], np.bool_),
        areas=_areas(annotations),
        class_ids=classes,
        folder=str(folder),
        report=report,
    )


def _is_set(entry: dict[str, Any], flag: str) -> bool:
    """A flag that COCO writes as 0 or 1, and others as false, true or text."""
    return entry.get(flag) in (1, "1", "true", "True")


def _pictures(entries: list[Any], path: Path) -> tuple[list[ImageId], list[str], list[Size | None]]:
    try:
        ids = [entry["id"] for entry in entries]
        names = [entry["file_name"] for entry in entries]
    except (KeyError, TypeError):
        wrong = next(entry for entry in entries if not isinstance(entry, dict) or not {"id", "file_name"} <= entry.keys())
        raise ValueError(f"{path}: every image needs an id and a file_name, got {wrong!r}") from None
    for image_id, name in zip(ids, names, strict=True):
        if not isinstance(image_id, (int, str)) or isinstance(image_id, bool) or not isinstance(name, str) or not name:
            raise ValueError(f"{path}: image id {image_id!r}, file_name {name!r}: expected a whole number (or a text) and a text")
    if len(set(ids)) != len(ids):
        image_id, count = Counter(ids).most_common(1)[0]
        several = sum(1 for n in Counter(ids).values() if n > 1)
        raise ValueError(
            f"{path}: image id {image_id!r} is given to {count} pictures ({several} ids occur more than once); "
            "boxes cannot be told apart, so give every picture its own id"
        )
    return ids, names, [_size(entry) for entry in entries]


def _size(entry: dict[str, Any]) -> Size | None:
    height, width = entry.get("height"), entry.get("width")
    whole = isinstance(height, (int, float)) and isinstance(width, (int, float)) and height > 0 and width > 0
    return (int(height), int(width)) if whole else None  # type: ignore[arg-type]


def _note_repeated(names: list[str], report: ReadReport) -> None:
    for name, count in Counter(names).items():
        report.add(Remark.DUPLICATE_FILE, name, count - 1)


def _of_listed_pictures(entries: list[Any], ids: list[ImageId], report: ReadReport, path: Path) -> list[dict[str, Any]]:
    """The annotations whose picture is listed; the others are counted under their picture's id."""
    listed = set(ids)
    try:
        kept = [entry for entry in entries if entry["image_id"] in listed]
    except (KeyError, TypeError):
        raise ValueError(f"{path}: every annotation needs an image_id; at least one has none") from None
    if len(kept) != len(entries):
        report.add_all(Remark.UNKNOWN_IMAGE, (f"image id {entry['image_id']}" for entry in entries if entry["image_id"] not in listed))
    own_ids = [entry["id"] for entry in kept if entry.get("id") is not None]
    if len(set(own_ids)) != len(own_ids):
        for own_id, count in Counter(own_ids).items():
            report.add(Remark.DUPLICATE_LABEL_ID, f"annotation id {own_id}", count - 1)
    return kept


def _column(annotations: list[dict[str, Any]], key: str, path: Path) -> npt.NDArray[np.int64]:
    try:
        return np.array([entry[key] for entry in annotations], np.int64).reshape(len(annotations))
    except (KeyError, TypeError, ValueError, OverflowError):
        wrong = next((e for e in annotations if not isinstance(e.get(key), int)), {})
        shown = {name: wrong.get(name) for name in ("id", "image_id", key)}
        raise ValueError(f"{path}: every annotation needs a {key} that is a whole number, got {shown}") from None


def _boxes(annotations: list[dict[str, Any]], path: Path) -> Floats:
    """``(N, 4)`` float64 ``x1 y1 x2 y2``; a box that is null becomes NaN and is counted later."""
    given = [entry.get("bbox") for entry in annotations]
    try:
        xywh = np.array(given, np.float64).reshape(len(given), 4)
    except (TypeError, ValueError):
        xywh = np.array([_four_numbers(box, entry, path) for box, entry in zip(given, annotations, strict=True)]).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def _four_numbers(box: Any, entry: dict[str, Any], path: Path) -> list[float]:
    if isinstance(box, list) and len(box) == 4 and all(isinstance(value, (int, float)) or value is None for value in box):
        return [math.nan if value is None else float(value) for value in box]
    shown = {key: entry.get(key) for key in ("id", "image_id", "bbox")}
    raise ValueError(f"{path}: expected a bbox of four numbers, x y width height, got {shown}; correct the file")


def _areas(annotations: list[dict[str, Any]]) -> Floats:
    given = [entry.get("area") for entry in annotations]
    return np.array([value if isinstance(value, (int, float)) else math.nan for value in given], np.float64)
