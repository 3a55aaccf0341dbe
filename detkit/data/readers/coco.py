"""COCO JSON: images, annotations and categories in one file."""

from __future__ import annotations

import codecs
import gc
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic_core import from_json

from detkit.data.readers.assemble import Floats, RawLabels, assemble, inside
from detkit.data.readers.coco_files import annotation_files, image_folder, split_names
from detkit.data.readers.protocol import chosen_split
from detkit.data.records import CocoFile, DetectionData, ImageId
from detkit.data.report import ReadReport, Remark
from detkit.label_values import flag, four_numbers, stated_area, stated_size, whole_number
from detkit.structures import Size

T = TypeVar("T")


class CocoReader:
    """Boxes ``x y width height`` from 0; ids, crowd flags and areas are kept as published."""

    name = "COCO JSON"
    expects = "a .json file, or a folder with annotations/*.json or */_annotations.coco.json"

    def recognizes(self, path: Path) -> bool:
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
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
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
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        advice = "it is UTF-16, save it as UTF-8" if wide else "the file may be cut off, fetch or export it again"
        raise ValueError(f"{path}: not valid JSON ({error}); {advice}") from None


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
    photos, report = content["images"], ReadReport(str(path))
    ids, names, sizes = _images(photos, path)
    _note_repeated(names, report)
    folder = images or image_folder(path, names)
    annotations = _of_listed_images(content["annotations"], ids, report, path)
    place = {image_id: index for index, image_id in enumerate(ids)}
    label = {number: index for index, number in enumerate(category_ids)}
    classes = _column(annotations, "category_id", whole_number, path)
    return RawLabels(
        source=str(path),
        paths=[inside(folder, name, str(path)) for name in names],
        names=names,
        image_ids=ids,
        sizes=sizes,
        image_index=np.array([place[entry["image_id"]] for entry in annotations], np.int64),
        boxes=_boxes(annotations, path),
        labels=np.array([label.get(number, -1) for number in classes], np.int64),
        is_crowd=np.array(_column(annotations, "iscrowd", flag, path), np.bool_),
        is_difficult=np.array(_column(annotations, "difficult", flag, path), np.bool_),
        areas=np.array(_column(annotations, "area", stated_area, path), np.float64),
        class_ids=np.array(classes, np.int64),
        folder=str(folder),
        report=report,
    )


def _images(entries: list[Any], path: Path) -> tuple[list[ImageId], list[str], list[Size | None]]:
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
            f"{path}: image id {image_id!r} is given to {count} images ({several} ids occur more than once); "
            "boxes cannot be told apart, so give every image its own id"
        )
    return ids, names, [stated_size(entry) for entry in entries]


def _note_repeated(names: list[str], report: ReadReport) -> None:
    for name, count in Counter(names).items():
        report.add(Remark.DUPLICATE_FILE, name, count - 1)


def _of_listed_images(entries: list[Any], ids: list[ImageId], report: ReadReport, path: Path) -> list[dict[str, Any]]:
    """The annotations whose image is listed; the others are counted under their image's id."""
    listed = set(ids)
    try:
        kept = [entry for entry in entries if entry["image_id"] in listed]
    except (KeyError, TypeError):
        wrong = next(entry for entry in entries if not isinstance(entry, dict) or not isinstance(entry.get("image_id"), (int, str)))
        raise ValueError(f"{path}: every annotation needs an image_id, the id of an image that is listed, got {wrong!r}") from None
    if len(kept) != len(entries):
        report.add_all(Remark.UNKNOWN_IMAGE, (f"image id {entry['image_id']}" for entry in entries if entry["image_id"] not in listed))
    own_ids = [entry["id"] for entry in kept if isinstance(entry.get("id"), (int, str))]
    if len(set(own_ids)) != len(own_ids):
        for own_id, count in Counter(own_ids).items():
            report.add(Remark.DUPLICATE_LABEL_ID, f"annotation id {own_id}", count - 1)
    return kept


def _column(annotations: list[dict[str, Any]], key: str, read: Callable[[Any], T], path: Path) -> list[T]:
    """One value of each annotation; the message about one that cannot be read names it."""
    values = []
    for entry in annotations:
        try:
            values.append(read(entry.get(key)))
        except ValueError as error:
            where = f"annotation {entry.get('id')!r} of image {entry['image_id']!r}"
            raise ValueError(f"{path}: {where}: {key}: {error}; correct the file") from None
    return values


def _boxes(annotations: list[dict[str, Any]], path: Path) -> Floats:
    """``(N, 4)`` float64 ``x1 y1 x2 y2``; a number that is null becomes NaN and is counted later."""
    try:
        xywh = np.array([entry.get("bbox") for entry in annotations], np.float64)
    except (TypeError, ValueError, OverflowError):
        xywh = np.zeros(0)
    if xywh.shape != (len(annotations), 4):
        xywh = np.array(_column(annotations, "bbox", four_numbers, path), np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
