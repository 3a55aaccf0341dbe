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

from detkit.data.readers.assemble import Floats, RawLabels, assemble, resolve_in_folder
from detkit.data.readers.coco_files import annotation_files, image_folder, split_names
from detkit.data.readers.protocol import resolve_split
from detkit.data.records import CocoFile, DetectionData, ImageId
from detkit.data.report import ReadIssue, ReadReport
from detkit.label_values import parse_area, parse_box, parse_flag, parse_integer, parse_size
from detkit.structures import Size

T = TypeVar("T")


class CocoReader:
    """Boxes ``x y width height`` counted from 0; ids, crowd flags and areas are kept as published."""

    name = "COCO JSON"
    expects = "a .json file, or a folder with annotations/*.json or */_annotations.coco.json"

    def recognizes(self, path: Path) -> bool:
        """Return whether it is a JSON file, or a folder with JSON files where COCO or Roboflow put them."""
        return path.suffix.lower() == ".json" if path.is_file() else bool(annotation_files(path))

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the split names of a folder's annotation files: ``instances_train2017.json`` is ``train2017``."""
        return () if path.is_file() else split_names(annotation_files(path))

    def read(self, path: Path, images: Path | None, split: str | None, check: int) -> DetectionData:
        """Read one annotation file; see :class:`detkit.data.readers.protocol.Reader`."""
        split = resolve_split(path, split, self.splits(path))
        if path.is_dir():
            path = annotation_files(path)[split or ""]
        with _without_garbage_collection():
            content = _content(path)
            names, ids = _categories(content["categories"], path)
            raw = _labels(content, ids, path, images)
        records = assemble(raw, check)
        labels = {category: label for label, category in enumerate(ids)}
        return DetectionData(str(path), names, ids, records, raw.report, CocoFile(str(path), labels))


_POLYGONS = re.compile(rb'"segmentation"\s*:\s*\[[\[\]0-9.eE+\-,\s]*\]')
"""Polygons, which are two thirds of COCO's files and of the memory after parsing. Because quotes inside JSON strings are escaped,
this matches nothing but a key and its numbers."""


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disable the garbage collector, which would traverse millions of small lists repeatedly; nothing here is cyclic."""
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
        content = from_json(_POLYGONS.sub(b'"segmentation":0', data))
    except ValueError:
        content = _parse_original(data, path)
    if isinstance(content, list):
        raise ValueError(f"{path}: expected COCO annotations, got a list, as in a results file; give the ground truth here")
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a COCO object with images, annotations and categories, got {type(content).__name__}")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            keys = ", ".join(content) or "nothing"
            raise ValueError(f"{path}: expected a list {key!r}, as in COCO's instances files, got the keys: {keys}")
    return content


def _parse_original(data: bytes, path: Path) -> Any:
    """Parse the unmodified file, so that positions in error messages are those of the file."""
    try:
        return from_json(data)
    except ValueError as error:
        is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        advice = "it is UTF-16, save it as UTF-8" if is_utf16 else "the file may be truncated, download or export it again"
        raise ValueError(f"{path}: not valid JSON ({error}); {advice}") from None


def _categories(entries: list[Any], path: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return names and ids, sorted by id, which is the familiar order of the classes."""
    try:
        pairs = [(entry["id"], entry["name"]) for entry in entries]
    except (KeyError, TypeError):
        raise ValueError(f"{path}: every category needs an id and a name; got {entries[:3]}") from None
    for number, name in pairs:
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(name, str) or not name:
            raise ValueError(f"{path}: category id {number!r}, name {name!r}: expected an integer and a non-empty string")
    duplicates = [number for number, count in Counter(number for number, _ in pairs).items() if count > 1]
    if duplicates:
        raise ValueError(f"{path}: category id {duplicates[0]} belongs to several categories; expected a unique id for each category")
    if not pairs:
        raise ValueError(f"{path}: it lists no categories; expected at least one")
    pairs.sort()
    return tuple(name for _, name in pairs), tuple(number for number, _ in pairs)


def _labels(content: dict[str, Any], category_ids: tuple[int, ...], path: Path, images: Path | None) -> RawLabels:
    entries, report = content["images"], ReadReport(str(path))
    ids, names, sizes = _images(entries, path)
    _report_duplicate_files(names, report)
    folder = images or image_folder(path, names)
    annotations = _of_listed_images(content["annotations"], ids, report, path)
    image_index = {image_id: index for index, image_id in enumerate(ids)}
    label = {number: index for index, number in enumerate(category_ids)}
    classes = _column(annotations, "category_id", parse_integer, path)
    return RawLabels(
        source=str(path),
        paths=[resolve_in_folder(folder, name, str(path)) for name in names],
        names=names,
        image_ids=ids,
        sizes=sizes,
        image_index=np.array([image_index[entry["image_id"]] for entry in annotations], np.int64),
        boxes=_boxes(annotations, path),
        labels=np.array([label.get(number, -1) for number in classes], np.int64),
        is_crowd=np.array(_column(annotations, "iscrowd", parse_flag, path), np.bool_),
        is_difficult=np.array(_column(annotations, "difficult", parse_flag, path), np.bool_),
        areas=np.array(_column(annotations, "area", parse_area, path), np.float64),
        class_ids=np.array(classes, np.int64),
        folder=str(folder),
        report=report,
    )


def _images(entries: list[Any], path: Path) -> tuple[list[ImageId], list[str], list[Size | None]]:
    try:
        ids = [entry["id"] for entry in entries]
        names = [entry["file_name"] for entry in entries]
    except (KeyError, TypeError):
        invalid = next(entry for entry in entries if not isinstance(entry, dict) or not {"id", "file_name"} <= entry.keys())
        raise ValueError(f"{path}: every image needs an id and a file_name, got {invalid!r}") from None
    for image_id, name in zip(ids, names, strict=True):
        if not isinstance(image_id, (int, str)) or isinstance(image_id, bool) or not isinstance(name, str) or not name:
            raise ValueError(f"{path}: image id {image_id!r}, file_name {name!r}: expected an integer (or a string) and a non-empty string")
    if len(set(ids)) != len(ids):
        image_id, count = Counter(ids).most_common(1)[0]
        duplicates = sum(1 for n in Counter(ids).values() if n > 1)
        raise ValueError(
            f"{path}: image id {image_id!r} belongs to {count} images ({duplicates} ids occur more than once), "
            "so their boxes are ambiguous; give every image its own id"
        )
    return ids, names, [parse_size(entry) for entry in entries]


def _report_duplicate_files(names: list[str], report: ReadReport) -> None:
    for name, count in Counter(names).items():
        report.add(ReadIssue.DUPLICATE_FILE, name, count - 1)


def _of_listed_images(entries: list[Any], ids: list[ImageId], report: ReadReport, path: Path) -> list[dict[str, Any]]:
    """Return the annotations of listed images; the others are counted under their image's id."""
    listed = set(ids)
    try:
        kept = [entry for entry in entries if entry["image_id"] in listed]
    except (KeyError, TypeError):
        invalid = next(entry for entry in entries if not isinstance(entry, dict) or not isinstance(entry.get("image_id"), (int, str)))
        raise ValueError(f"{path}: every annotation needs an image_id, the id of a listed image, got {invalid!r}") from None
    if len(kept) != len(entries):
        report.add_all(ReadIssue.UNLISTED_IMAGE, (f"image id {entry['image_id']}" for entry in entries if entry["image_id"] not in listed))
    annotation_ids = [entry["id"] for entry in kept if isinstance(entry.get("id"), (int, str))]
    if len(set(annotation_ids)) != len(annotation_ids):
        for annotation_id, count in Counter(annotation_ids).items():
            report.add(ReadIssue.DUPLICATE_ANNOTATION_ID, f"annotation id {annotation_id}", count - 1)
    return kept


def _column(annotations: list[dict[str, Any]], key: str, parse: Callable[[Any], T], path: Path) -> list[T]:
    """Parse one value of each annotation; the error message names the annotation and its image."""
    values = []
    for entry in annotations:
        try:
            values.append(parse(entry.get(key)))
        except ValueError as error:
            where = f"annotation {entry.get('id')!r} of image {entry['image_id']!r}"
            raise ValueError(f"{path}: {where}: {key}: {error}; correct the file") from None
    return values


def _boxes(annotations: list[dict[str, Any]], path: Path) -> Floats:
    """Return the boxes, ``(N, 4)`` float64 ``x1 y1 x2 y2``; null becomes NaN, which is counted later."""
    try:
        xywh = np.array([entry.get("bbox") for entry in annotations], np.float64)
    except (TypeError, ValueError, OverflowError):
        xywh = np.zeros(0)
    if xywh.shape != (len(annotations), 4):
        xywh = np.array(_column(annotations, "bbox", parse_box, path), np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
