"""The annotations of a COCO file, read part by part into columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from pydantic_core import from_json

from detkit.arrays import Doubles, Flags
from detkit.data.readers.assemble import NO_CLASS
from detkit.data.readers.coco.ids import GrowingArray, Ids, Integers, annotated_ids, compact_ids, id_indices, joined_ids
from detkit.data.readers.outlines import FileText
from detkit.data.readers.turned import box_around, box_of_turned, turned_box
from detkit.data.report import ReadIssue, ReadReport
from detkit.json_lists import parsed_items
from detkit.label_values import parse_area, parse_box, parse_flag, parse_integer
from detkit.structures import Segmentations

T = TypeVar("T")
Outline = Callable[[int], Any]
"""Returns the segmentation of an annotation of the part, by its index; None if it has none."""

_SEGMENTATION = re.compile(rb'("segmentation"\s*:\s*)(\[[\[\]0-9.eE+\-,\s]*\]|\{[^{}]*\})')
"""Polygons or run lengths, which are two thirds of COCO's files and of the memory after parsing. Because quotes inside JSON strings are
escaped, this matches nothing but a key and its value."""
_PLACEHOLDER = b'"@segmentation":0'
_TURNED = ("rbbox", "obb", "rotated_bbox", "rotated_box")
"""Keys of turned boxes next to ``bbox``; there is no standard."""
_LARGEST_ANGLE = 1e9
_PARSE: dict[str, tuple[str, Callable[[Any], bool]]] = {"is_crowd": ("iscrowd", parse_flag), "is_difficult": ("difficult", parse_flag)}
"""Columns of flags, with their key in the file."""


@dataclass
class Part:
    """Columns of some annotations of a file.

    Attributes:
        image_ids: ``(N,)`` canonical ids of the images.
        ids: ``(N,)`` ids of the annotations as published.
        classes: ``(N,)`` category ids.
        has_box: ``(N,)`` bool: whether there is a box.
        columns: Other columns by name; ``segmentations`` may be None.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2``, when all parts are joined.
    """

    image_ids: Ids
    ids: Ids
    classes: Integers
    has_box: Flags
    columns: dict[str, Any]
    boxes: Doubles = field(default_factory=lambda: np.zeros((0, 4)))


@dataclass
class Annotations:
    """The annotations of a file, collected part by part.

    Attributes:
        path: The file.
        report: Where annotations that are changed or noticed are counted.
        parts: The columns of the parts so far.
        altered: Whether some box is not the one in the file, or one in the file cannot be read.
    """

    path: str
    report: ReadReport
    parts: list[Part] = field(default_factory=list)
    altered: bool = False

    def __post_init__(self) -> None:
        self._source = FileText.of(self.path)
        self._all_boxes, self._all_areas = GrowingArray(np.float64, (4,)), GrowingArray(np.float32)

    def add(self, text: bytes, position: int) -> None:
        """Read some annotations, with commas between them, from ``position`` in the file.

        Raises:
            NotStreamableError: If the text is not JSON.
            ValueError: If an annotation has a wrong value.
        """
        pieces = _SEGMENTATION.split(text)  # what is around them, and for each its key and its value
        entries = parsed_items(_PLACEHOLDER.join(pieces[::3]))
        outlined = np.array([isinstance(entry, dict) and "@segmentation" in entry for entry in entries], np.bool_)
        values = pieces[2::3]
        others = any(isinstance(entry, dict) and entry.get("segmentation") for entry in entries)  # such as numbers as text
        if others or int(outlined.sum()) != len(values):  # some are not the annotations' own
            self.add_parsed(parsed_items(text))
            return
        numbers = np.cumsum(outlined) - 1
        part = self._part(entries, lambda row: from_json(values[int(numbers[row])]) if outlined[row] else None)
        ends = np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)))[2::3] + position
        part.columns["segmentations"] = self._in_file(ends, np.fromiter(map(len, values), np.int64, len(values)), outlined)
        self.parts.append(part)

    def add_parsed(self, entries: list[Any]) -> None:
        """Read annotations that were parsed with their segmentations."""
        values = [entry.get("segmentation") if isinstance(entry, dict) else None for entry in entries]
        values = [value if isinstance(value, (list, dict)) and value else None for value in values]
        part = self._part(entries, values.__getitem__)
        part.columns["segmentations"] = Segmentations.of_values(values) if any(values) else None
        self.parts.append(part)

    def _in_file(self, ends: Integers, value_lengths: Integers, outlined: Flags) -> Segmentations | None:
        starts, lengths = np.zeros(len(outlined), np.int64), np.zeros(len(outlined), np.int64)
        starts[outlined] = ends - value_lengths
        lengths[outlined] = np.where(value_lengths > len("[]"), value_lengths, 0)
        return Segmentations.of(self._source, starts, lengths) if lengths.any() else None

    def _part(self, entries: list[Any], outline: Outline) -> Part:
        image_ids = annotated_ids(entries, self.path)
        keys: set[str] = set().union(*entries)
        boxes, has_box = self._boxes(entries, outline)
        if not keys.isdisjoint(("attributes", *_TURNED)):
            self._turn(entries, boxes, outline)
        columns: dict[str, Any] = {
            name: self._flags(entries, key, parse) if key in keys else np.zeros(len(entries), np.bool_)
            for name, (key, parse) in _PARSE.items()
        }
        if "ignore" in keys:
            rows = self._flags(entries, "ignore", parse_flag) & ~columns["is_crowd"]
            self.report.add_all(ReadIssue.IGNORE_FLAG, (_image_name(entries[row]) for row in np.flatnonzero(rows)))
        self._all_boxes.extend(boxes)
        self._all_areas.extend(self._areas(entries))
        ids = [entry.get("id") for entry in entries]
        return Part(compact_ids(image_ids), compact_ids(ids), self._classes(entries), has_box, columns)

    def _boxes(self, entries: list[Any], outline: Outline) -> tuple[Doubles, Flags]:
        """Return the boxes, ``(N, 4)`` ``x1 y1 x2 y2``, and which there are; null becomes NaN, which is counted later."""
        xywh = _plain_boxes([entry.get("bbox") for entry in entries])
        if xywh is not None:
            xywh[:, 2:] += xywh[:, :2]
            return xywh, np.ones(len(entries), np.bool_)
        boxes = [self._one_box(entry, row, outline) for row, entry in enumerate(entries)]
        has_box = np.array([box is not None for box in boxes], np.bool_)
        return np.array([box or (np.nan,) * 4 for box in boxes], np.float64).reshape(-1, 4), has_box

    def _one_box(self, entry: dict[str, Any], row: int, outline: Outline) -> tuple[float, ...] | None:
        value = entry.get("bbox")
        if value in (None, []):
            polygons = outline(row)
            if not isinstance(polygons, list) or not any(polygons):
                self.altered = True
                self.report.add(ReadIssue.NO_BOX, _image_name(entry), detail=f"annotation {entry.get('id')!r}")
                return None
            self.altered = True
            self.report.add(ReadIssue.POLYGON, _image_name(entry))
            points = [number for polygon in polygons if isinstance(polygon, list) for number in polygon]
            return box_around(self._numbers(entry, points or polygons))
        if isinstance(value, list) and len(value) in (5, 8):
            return self._turned(entry, value)
        x, y, width, height = self._parse(entry, "bbox", parse_box)
        return x, y, x + width, y + height

    def _turned(self, entry: dict[str, Any], value: list[Any]) -> tuple[float, ...]:
        self.altered = True
        self.report.add(ReadIssue.TURNED, _image_name(entry), detail=f"{value}")
        return box_of_turned(self._numbers(entry, value))

    def _numbers(self, entry: dict[str, Any], value: list[Any]) -> list[float]:
        try:
            return [float(number) for number in value]
        except (TypeError, ValueError, OverflowError):
            where = f"{self.path}: {_annotation_name(entry)}"
            raise ValueError(f"{where}: expected {len(value)} numbers, got {value!r}; correct the file") from None

    def _turn(self, entries: list[Any], boxes: Doubles, outline: Outline) -> None:
        """Replace the boxes of turned rectangles, as CVAT and others write them, in place."""
        for row, entry in enumerate(entries):
            attributes = entry.get("attributes")
            angle = attributes.get("rotation") if isinstance(attributes, dict) else None
            if angle and isinstance(angle, (int, float)) and abs(angle) < _LARGEST_ANGLE and angle % 180 and not outline(row):
                self.altered = True
                self.report.add(ReadIssue.TURNED, _image_name(entry), detail=f"by {angle:g} degrees")
                boxes[row] = turned_box(boxes[row].tolist(), angle)
            for value in map(entry.get, _TURNED):
                if isinstance(value, list) and len(value) in (5, 8):
                    boxes[row] = self._turned(entry, value)

    def _classes(self, entries: list[Any]) -> Integers:
        values = [entry.get("category_id") for entry in entries]
        if set(map(type, values)) <= {int}:
            try:
                return np.array(values, np.int64)
            except OverflowError:
                pass
        classes = np.array([self._parse(entry, "category_id", _parse_class) for entry in entries], np.int64)
        self.altered |= bool((classes == NO_CLASS).any())
        return classes

    def _flags(self, entries: list[Any], key: str, parse: Callable[[Any], bool]) -> Flags:
        values = [entry.get(key) for entry in entries]
        if set(values) <= {0, 1, None} if set(map(type, values)) <= {int, bool, type(None)} else False:
            return np.array(values, np.bool_)
        return np.array([self._parse(entry, key, parse) for entry in entries], np.bool_)

    def _areas(self, entries: list[Any]) -> Doubles:
        values = [entry.get("area") for entry in entries]
        if set(map(type, values)) <= {int, float}:
            areas = np.array(values, np.float64)
            return np.where((areas >= 0) & (areas < np.inf), areas, np.nan)
        return np.array([self._parse(entry, "area", parse_area) for entry in entries], np.float64)

    def _parse(self, entry: dict[str, Any], key: str, parse: Callable[[Any], T]) -> T:
        """Parse one value of an annotation; the error message names the annotation and its image."""
        try:
            return parse(entry.get(key))
        except ValueError as error:
            raise ValueError(f"{self.path}: {_annotation_name(entry)}: {key}: {error}; correct the file") from None

    def joined(self, image_ids: Sequence[Any]) -> tuple[Integers, Part]:
        """Return the annotations of listed images as one part, and the index of each one's image; the others are counted."""
        parts, self.parts = self.parts, []
        indices = self._image_indices(parts, image_ids)
        self._report_duplicates(joined_ids([_taken(part, "ids") for part in parts]), indices >= 0)
        whole = _combined(parts)
        whole.boxes, whole.columns["areas"] = self._all_boxes.taken(), self._all_areas.taken()
        rows = (indices >= 0) & whole.has_box
        if rows.all():
            return indices, whole
        columns = {name: value if value is None else value[rows] for name, value in whole.columns.items()}
        return indices[rows], Part([], [], whole.classes[rows], whole.has_box[rows], columns, whole.boxes[rows])

    def _image_indices(self, parts: list[Part], image_ids: Sequence[Any]) -> Integers:
        """Return the index of each annotation's image; -1 for images that are not listed, which are counted."""
        wanted = joined_ids([_taken(part, "image_ids") for part in parts])
        indices = id_indices(wanted, image_ids)
        unlisted = np.flatnonzero(indices < 0)
        self.report.add_all(ReadIssue.UNLISTED_IMAGE, (f"image id {wanted[row]}" for row in unlisted.tolist()))
        return indices

    def _report_duplicates(self, ids: Ids, listed: Flags) -> None:
        if isinstance(ids, np.ndarray):
            values, counts = np.unique(ids[listed], return_counts=True)
            repeated = list(zip(values[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True))
        else:
            tally = Counter(value for value, kept in zip(ids, listed.tolist(), strict=True) if kept and isinstance(value, (int, str)))
            repeated = [(value, count) for value, count in tally.items() if count > 1]
        for value, count in repeated:
            self.report.add(ReadIssue.DUPLICATE_ANNOTATION_ID, f"annotation id {value}", count - 1)


def _taken(part: Part, name: str) -> Any:
    """Return a column of a part and take it out of it, so that the columns of all parts are not held twice."""
    value = getattr(part, name)
    setattr(part, name, ())
    return value


def _combined(parts: list[Part]) -> Part:
    """Return the annotations of all parts, without their ids."""
    if not parts:
        return Part([], [], np.zeros(0, np.int64), np.zeros(0, np.bool_), {"segmentations": None})
    counts = [len(part.has_box) for part in parts]
    outlines = [part.columns.pop("segmentations") for part in parts]
    columns: dict[str, Any] = {name: np.concatenate([part.columns.pop(name) for part in parts]) for name in list(parts[0].columns)}
    known = [Segmentations.none(count) if value is None else value for value, count in zip(outlines, counts, strict=True)]
    columns["segmentations"] = Segmentations.cat(known) if any(value is not None for value in outlines) else None
    classes, has_box = (np.concatenate([_taken(part, name) for part in parts]) for name in ("classes", "has_box"))
    return Part([], [], classes, has_box, columns)


def _plain_boxes(values: list[Any]) -> Doubles | None:
    """Return boxes, ``(N, 4)``, if all are lists of four numbers."""
    if set(map(type, values)) != {list} or set(map(len, values)) != {4}:
        return None
    try:
        return np.fromiter(chain.from_iterable(values), np.float64, 4 * len(values)).reshape(-1, 4)
    except (TypeError, ValueError, OverflowError):
        return None


def _parse_class(value: Any) -> int:
    return NO_CLASS if value is None else parse_integer(value)


def _image_name(entry: dict[str, Any]) -> str:
    return f"image id {entry['image_id']}"


def _annotation_name(entry: dict[str, Any]) -> str:
    return f"annotation {entry.get('id')!r} of image {entry['image_id']!r}"
