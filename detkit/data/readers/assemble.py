"""Checks of all readers' boxes on the way into a table: files, sizes, numbers and image borders."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from detkit.arrays import Doubles, Flags, Floats
from detkit.data.media.exif import orient_boxes
from detkit.data.media.images import stored_size
from detkit.data.readers.outlines import RawPolygons, Stored, oriented
from detkit.data.records import ImageId, Records
from detkit.data.report import ReadIssue, ReadReport
from detkit.data.storage.addresses import is_address
from detkit.structures import Segmentations, Size, Targets

NO_CLASS = int(np.iinfo(np.int64).min)
"""Class id of an object for which the file states none."""

TOLERANCE = 0.02
"""Pixels by which a box may exceed its image through rounding before it counts as clipped; COCO writes two decimals."""


@dataclass
class RawLabels:
    """Images and boxes as stated in a label file.

    Attributes:
        source: Name of the data in the report and in messages.
        paths: ``M`` image files, whether they exist or not.
        names: ``M`` names of the images in the report.
        image_ids: ``M`` ids.
        sizes: ``M`` stated ``(height, width)``, None where none is stated.
        image_index: ``(N,)`` index of each box's image.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2`` in pixels, or as fractions of the image if ``relative``.
        labels: ``(N,)`` class numbers; -1 where the data does not define the class.
        columns: Other columns of ``kind`` that the format has, by name; in an area, NaN means that there is none.
        kind: The type of the targets, which declares the columns.
        polygons: Outlines of the boxes, in the same unit; None if the format has none, or if they are in ``columns``.
        relative: Whether the boxes and polygons are fractions of the image.
        class_ids: ``(N,)`` class ids as stated in the file, for messages; may be empty.
        unlabeled: Indices of the images without a label file, which state nothing.
        folder: Where the images were searched, for messages.
        states_sizes: Whether the format states the sizes of images, so that one without a size is reported.
        report: Labels and images that were skipped, changed or noticed.
    """

    source: str
    paths: list[str]
    names: list[str]
    image_ids: list[ImageId]
    sizes: list[Size | None]
    image_index: npt.NDArray[np.int64]
    boxes: Doubles
    labels: npt.NDArray[np.int64]
    columns: dict[str, Any] = field(default_factory=dict)
    kind: type[Targets] = Targets
    polygons: RawPolygons | None = None
    relative: bool = False
    class_ids: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    unlabeled: set[int] = field(default_factory=set)
    folder: str = ""
    states_sizes: bool = True
    report: ReadReport = field(default_factory=ReadReport)


def assemble(raw: RawLabels, check: int) -> Records:
    """Build the table of valid images and boxes; all others are counted in ``raw.report``.

    Args:
        raw: The labels; its boxes and report are modified.
        check: Largest number of image headers to compare with the stated sizes.

    Raises:
        ValueError: If no image, or no box, remains.
    """
    raw.report.source = raw.report.source or raw.source
    if not raw.paths:
        raise ValueError(f"{raw.source}: it lists no images; expected at least one")
    if len(set(raw.image_ids)) != len(raw.image_ids):
        image_id = Counter(raw.image_ids).most_common(1)[0][0]
        raise ValueError(f"{raw.source}: several images are called {image_id!r}, so their boxes are ambiguous; rename all but one")
    exists = _existing(raw)
    sizes = _checked_sizes(raw, exists, check)
    keep = _valid_boxes(raw, sizes)
    records = _table(raw, sizes, keep)
    if not len(records):
        raise ValueError(f"{raw.source}: none of its {len(raw.paths)} images can be used; {' | '.join(raw.report.summary(1))}")
    if not len(records.boxes):
        report = " | ".join(raw.report.summary(1))
        raise ValueError(
            f"{raw.source}: no labeled object in {len(records)} images; expected at least one{'; ' + report if report else ''}"
        )
    return records


def _existing(raw: RawLabels) -> Flags:
    """Return which images have a file; each folder is listed once, because checking every file is slow on network disks."""
    listed: dict[str, set[str]] = {}
    exists = np.zeros(len(raw.paths), np.bool_)
    for index, path in enumerate(raw.paths):
        if is_address(path):  # asking for each would take as long as reading them
            exists[index] = True
            continue
        folder, name = os.path.split(path)
        if folder not in listed:
            try:
                listed[folder] = set(os.listdir(folder or "."))
            except (OSError, ValueError):  # a zero byte in the path
                listed[folder] = set()
        exists[index] = name in listed[folder] or os.path.exists(path)
    missing = [raw.names[index] for index in np.flatnonzero(~exists)]
    raw.report.add_all(ReadIssue.MISSING_IMAGE, missing)
    if missing and not exists.any():
        searched = raw.folder or os.path.dirname(raw.paths[0])
        raise ValueError(
            f"{raw.source}: none of its {len(raw.paths)} images exists, such as {raw.paths[0]}; "
            f"searched in {searched}; name the folder that contains them as images"
        )
    return exists


def _checked_sizes(raw: RawLabels, exists: Flags, check: int) -> list[Size | None]:
    """Return the upright size of every usable image; boxes labeled without the EXIF orientation are rotated in ``raw``.

    Images at addresses are not compared with their labels here, as that would read all of them; training compares each one that it reads.
    """
    existing = np.flatnonzero(exists).tolist()
    stated = [index for index in existing if raw.sizes[index] is not None and not is_address(raw.paths[index])]
    compared = set(stated)
    if len(stated) > check:
        compared = {stated[number * len(stated) // check] for number in range(check)}
    if len(compared) < sum(raw.sizes[index] is not None for index in existing):
        raw.report.checked = len(compared)
    sizes: list[Size | None] = [None] * len(raw.paths)
    rotated: dict[int, Stored] = {}
    for index in existing:
        if raw.sizes[index] is not None and index not in compared:
            sizes[index] = raw.sizes[index]
            continue
        sizes[index], orientation, stored = _size_of(raw, index)
        if orientation != 1:
            rotated[index] = Stored(orientation, stored)
    _rotate_boxes(raw, rotated)
    return sizes


def _size_of(raw: RawLabels, index: int) -> tuple[Size | None, int, Size]:
    """Return an image's upright size (None: skip it), the orientation to apply to its boxes, and its stored size."""
    name, stated = raw.names[index], raw.sizes[index]
    try:
        stored, orientation = stored_size(raw.paths[index])
    except ValueError as error:
        raw.report.add(ReadIssue.UNREADABLE_IMAGE, name, detail=str(error).removeprefix(f"{raw.paths[index]}: "))
        return None, 1, (0, 0)
    upright = (stored[1], stored[0]) if orientation >= 5 else stored
    if stated is None:
        if raw.states_sizes and not raw.relative and index not in raw.unlabeled:
            raw.report.add(ReadIssue.MISSING_SIZE, name)
        return upright, 1, stored
    if stated == upright:
        return upright, 1, stored
    if stated == stored:
        raw.report.add(ReadIssue.ROTATED, name)
        return upright, orientation, stored
    detail = f"{stated[1]}x{stated[0]} is stated, the file has {upright[1]}x{upright[0]} (width x height)"
    raw.report.add(ReadIssue.SIZE_MISMATCH, name, detail=detail)
    return None, 1, stored


def _rotate_boxes(raw: RawLabels, rotated: dict[int, Stored]) -> None:
    if not rotated:
        return
    raw.boxes = raw.boxes.copy()
    order = np.argsort(raw.image_index, kind="stable")
    ends = np.searchsorted(raw.image_index[order], np.arange(len(raw.paths)), side="right")
    rows_of = {index: order[ends[index - 1] if index else 0 : ends[index]] for index in rotated}
    for index, stored in rotated.items():
        rows = rows_of[index]
        raw.boxes[rows] = orient_boxes(raw.boxes[rows], stored.orientation, stored.size)
        if raw.polygons is not None:
            raw.polygons.orient(raw.image_index == index, stored.orientation, stored.size)
    segmentations: Segmentations | None = raw.columns.get("segmentations")
    if segmentations is not None:
        raw.columns["segmentations"] = oriented(segmentations, [(rows_of[index], stored) for index, stored in rotated.items()])


def _valid_boxes(raw: RawLabels, sizes: list[Size | None]) -> Flags:
    """Return which boxes to keep; afterwards ``raw.boxes`` are in pixels and clipped to their images.

    They are checked in blocks, because each intermediate result takes as much memory as the boxes.
    """
    limits = np.array([size or (0, 0) for size in sizes], np.float64).reshape(-1, 2)[:, [1, 0, 1, 0]]
    usable = np.array([size is not None for size in sizes], np.bool_)
    if raw.relative and raw.polygons is not None:
        raw.polygons.scale(limits[raw.image_index, :2])
    keep = np.zeros(len(raw.boxes), np.bool_)
    for start in range(0, len(raw.boxes), _BLOCK):
        rows = slice(start, start + _BLOCK)
        images = raw.image_index[rows]
        keep[rows] = _valid_block(raw, rows, limits[images], usable[images])
    return keep


_BLOCK = 65_536
"""Boxes that are checked at once."""


def _valid_block(raw: RawLabels, rows: slice, limits: Doubles, usable: Flags) -> Flags:
    boxes = raw.boxes[rows] * limits if raw.relative else raw.boxes[rows].copy()
    inside = np.clip(boxes, 0, limits)
    raw.boxes[rows] = inside
    with np.errstate(invalid="ignore"):
        tests = (
            (ReadIssue.UNKNOWN_CLASS, raw.labels[rows] < 0),
            (ReadIssue.NOT_FINITE, ~np.isfinite(boxes).all(1)),
            (ReadIssue.DEGENERATE, ~_has_extent(boxes)),
            (ReadIssue.OUTSIDE, ~_has_extent(inside)),
        )
        clipped = (np.abs(boxes - inside) > TOLERANCE).any(1)
    keep = usable
    for issue, invalid in tests:
        _report_boxes(raw, issue, keep & invalid, boxes, rows.start)
        keep = keep & ~invalid
    _report_boxes(raw, ReadIssue.CLIPPED, keep & clipped, boxes, rows.start)
    return keep


def _has_extent(boxes: Doubles) -> Flags:
    """Return which boxes have a positive width and height as float32, the final type, in which two edges may become equal."""
    narrow = boxes.astype(np.float32)
    return np.asarray((narrow[:, 2] > narrow[:, 0]) & (narrow[:, 3] > narrow[:, 1]))


def _report_boxes(raw: RawLabels, issue: ReadIssue, rows: Flags, boxes: Doubles, first: int) -> None:
    """Count the invalid ones of some boxes, of which the first is that of row ``first``."""
    for row in np.flatnonzero(rows).tolist():
        if issue is ReadIssue.UNKNOWN_CLASS:
            detail = _class_detail(raw, first + row)
        else:
            detail = "x1 y1 x2 y2 = " + " ".join(f"{value:g}" for value in boxes[row])
        raw.report.add(issue, raw.names[raw.image_index[first + row]], detail=detail)


def _class_detail(raw: RawLabels, row: int) -> str:
    if not len(raw.class_ids):
        return ""
    return "no class id" if raw.class_ids[row] == NO_CLASS else f"class id {raw.class_ids[row]}"


def _table(raw: RawLabels, sizes: list[Size | None], keep: Flags) -> Records:
    images = [index for index, size in enumerate(sizes) if size is not None]
    boxes = raw.boxes.astype(np.float32)
    raw.boxes = np.zeros((0, 4))
    rows = np.flatnonzero(keep)
    rows = rows[np.argsort(raw.image_index[rows], kind="stable")]
    boxes = boxes[rows]
    counts = np.bincount(raw.image_index[rows], minlength=len(sizes))[images] if images else np.zeros(0, np.int64)
    if raw.polygons is not None:
        raw.columns["segmentations"] = raw.polygons.segmentations()
    return Records(
        tuple(raw.paths[index] for index in images),
        tuple(raw.image_ids[index] for index in images),
        np.array([sizes[index] for index in images], np.int64).reshape(-1, 2),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        {"boxes": boxes, **{name: _column(raw, name, rows, boxes) for name in raw.kind.columns if name != "boxes"}},
        kind=raw.kind,
    )


def _column(raw: RawLabels, name: str, rows: npt.NDArray[np.int64], boxes: Floats) -> Any:
    """Return the values of the kept rows in the type of their column, with the default or the area of the box where there is none."""
    column = raw.kind.columns[name]
    value = raw.labels if name == "labels" else raw.columns.get(name)
    if column.follows == "area":
        box_areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        areas = np.full(len(rows), np.nan, np.float32) if value is None else value[rows].astype(np.float32)
        return np.where(np.isfinite(areas) & (areas >= 0), areas, box_areas).astype(np.float32)
    if value is None:
        return column.blank_array(len(rows))
    return value[rows].astype(column.blank_array(0).dtype) if isinstance(value, np.ndarray) else value[rows]
