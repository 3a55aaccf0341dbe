"""The checks that every reader's boxes pass on their way into a table: files, sizes, numbers, edges."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detkit.data.exif import turn_boxes
from detkit.data.images import stored_size
from detkit.data.records import ImageId, Records
from detkit.data.report import ReadReport, Remark
from detkit.structures import Size

Floats = npt.NDArray[np.float64]

TOLERANCE = 0.02
"""Pixels by which a box may stick out through rounding before it counts as cut: COCO writes two decimals."""


@dataclass
class RawLabels:
    """Images and boxes as a file states them.

    Attributes:
        source: What the report and the messages call the data.
        paths: ``M`` image files, whether they exist or not.
        names: ``M`` names by which the report calls them.
        image_ids: ``M`` ids.
        sizes: ``M`` stated ``(height, width)``, None where nothing is stated.
        image_index: ``(N,)`` the image each box lies on.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2`` in pixels, or in parts of the image if ``relative``.
        labels: ``(N,)`` class numbers; -1 where the data does not define the class.
        is_crowd: ``(N,)`` bool.
        is_difficult: ``(N,)`` bool.
        areas: ``(N,)`` published areas, NaN where none is.
        relative: Whether the boxes are in parts of the image.
        class_ids: ``(N,)`` the class as the file states it, for messages; may be empty.
        folder: Where the images were looked for, for messages.
    """

    source: str
    paths: list[str]
    names: list[str]
    image_ids: list[ImageId]
    sizes: list[Size | None]
    image_index: npt.NDArray[np.int64]
    boxes: Floats
    labels: npt.NDArray[np.int64]
    is_crowd: npt.NDArray[np.bool_]
    is_difficult: npt.NDArray[np.bool_]
    areas: Floats
    relative: bool = False
    class_ids: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    folder: str = ""
    report: ReadReport = field(default_factory=ReadReport)


def assemble(raw: RawLabels, check: int) -> Records:
    """The table of what is sound; the rest is counted in ``raw.report``.

    Raises:
        ValueError: no image, or no box, is left.
    """
    raw.report.source = raw.report.source or raw.source
    if not raw.paths:
        raise ValueError(f"{raw.source}: it lists no images; expected at least one")
    if len(set(raw.image_ids)) != len(raw.image_ids):
        image_id = Counter(raw.image_ids).most_common(1)[0][0]
        raise ValueError(f"{raw.source}: several images are called {image_id!r}; boxes cannot be told apart, so rename all but one")
    there = _existing(raw)
    sizes = _checked_sizes(raw, there, check)
    kept = _sound_boxes(raw, sizes)
    records = _table(raw, sizes, kept)
    if not len(records):
        raise ValueError(f"{raw.source}: none of its {len(raw.paths)} images can be used; {' | '.join(raw.report.summary(1))}")
    if not len(records.boxes):
        told = " | ".join(raw.report.summary(1))
        raise ValueError(f"{raw.source}: no labeled object in {len(records)} images; expected at least one{'; ' + told if told else ''}")
    return records


def _existing(raw: RawLabels) -> npt.NDArray[np.bool_]:
    """Which images have a file; folders are listed once, because asking for each file is slow on network disks."""
    listed: dict[str, set[str]] = {}
    there = np.zeros(len(raw.paths), np.bool_)
    for index, path in enumerate(raw.paths):
        folder, name = os.path.split(path)
        if folder not in listed:
            try:
                listed[folder] = set(os.listdir(folder or "."))
            except OSError:
                listed[folder] = set()
        there[index] = name in listed[folder] or os.path.exists(path)
    missing = [raw.names[index] for index in np.flatnonzero(~there)]
    raw.report.add_all(Remark.MISSING_IMAGE, missing)
    if missing and not there.any():
        where = raw.folder or os.path.dirname(raw.paths[0])
        raise ValueError(
            f"{raw.source}: none of its {len(raw.paths)} images is there, such as {raw.paths[0]}; "
            f"looked in {where}; name the folder that holds them as images"
        )
    return there


def _checked_sizes(raw: RawLabels, there: npt.NDArray[np.bool_], check: int) -> list[Size | None]:
    """The upright size of every usable image; boxes made on a lying image are turned in ``raw``."""
    present = np.flatnonzero(there).tolist()
    stated = [index for index in present if raw.sizes[index] is not None]
    compared = set(stated)
    if len(stated) > check:
        compared = {stated[place * len(stated) // check] for place in range(check)}
        raw.report.checked = check
    sizes: list[Size | None] = [None] * len(raw.paths)
    turned: dict[int, tuple[int, Size]] = {}
    for index in present:
        if raw.sizes[index] is not None and index not in compared:
            sizes[index] = raw.sizes[index]
            continue
        sizes[index], orientation, stored = _size_of(raw, index)
        if orientation != 1:
            turned[index] = (orientation, stored)
    _turn(raw, turned)
    return sizes


def _size_of(raw: RawLabels, index: int) -> tuple[Size | None, int, Size]:
    """A image's upright size (None: left out), and how its boxes have to be turned."""
    name, stated = raw.names[index], raw.sizes[index]
    try:
        stored, orientation = stored_size(raw.paths[index])
    except ValueError as error:
        raw.report.add(Remark.UNREADABLE_IMAGE, name, detail=str(error).removeprefix(f"{raw.paths[index]}: "))
        return None, 1, (0, 0)
    upright = (stored[1], stored[0]) if orientation >= 5 else stored
    if stated is None:
        if not raw.relative:
            raw.report.add(Remark.SIZE_NOT_STATED, name)
        return upright, 1, stored
    if stated == upright:
        return upright, 1, stored
    if stated == stored:
        raw.report.add(Remark.TURNED, name)
        return upright, orientation, stored
    detail = f"{stated[1]}x{stated[0]} is stated, the file has {upright[1]}x{upright[0]} (width x height)"
    raw.report.add(Remark.WRONG_SIZE, name, detail=detail)
    return None, 1, stored


def _turn(raw: RawLabels, turned: dict[int, tuple[int, Size]]) -> None:
    if turned:
        raw.boxes = raw.boxes.copy()
    for index, (orientation, stored) in turned.items():
        rows = raw.image_index == index
        raw.boxes[rows] = turn_boxes(raw.boxes[rows], orientation, stored)


def _sound_boxes(raw: RawLabels, sizes: list[Size | None]) -> npt.NDArray[np.bool_]:
    """Which boxes stay; ``raw.boxes`` are in pixels and inside their images afterwards."""
    edges = np.array([size or (0, 0) for size in sizes], np.float64).reshape(-1, 2)[raw.image_index][:, [1, 0, 1, 0]]
    usable = np.array([size is not None for size in sizes], np.bool_)[raw.image_index]
    boxes = raw.boxes * edges if raw.relative else raw.boxes
    raw.boxes = np.clip(boxes, 0, edges)
    with np.errstate(invalid="ignore"):
        tests = (
            (Remark.UNKNOWN_CLASS, raw.labels < 0),
            (Remark.NOT_FINITE, ~np.isfinite(boxes).all(1)),
            (Remark.DEGENERATE, ~_has_extent(boxes)),
            (Remark.OUTSIDE, ~_has_extent(raw.boxes)),
        )
        stick_out = (np.abs(boxes - raw.boxes) > TOLERANCE).any(1)
    keep = usable
    for remark, bad in tests:
        _tell(raw, remark, keep & bad, boxes)
        keep = keep & ~bad
    _tell(raw, Remark.CLIPPED, keep & stick_out, boxes)
    return keep


def _has_extent(boxes: Floats) -> npt.NDArray[np.bool_]:
    """Compared as float32, which is what the boxes become: two edges may fall together."""
    narrow = boxes.astype(np.float32)
    return np.asarray((narrow[:, 2] > narrow[:, 0]) & (narrow[:, 3] > narrow[:, 1]))


def _tell(raw: RawLabels, remark: Remark, rows: npt.NDArray[np.bool_], boxes: Floats) -> None:
    for row in np.flatnonzero(rows).tolist():
        if remark is Remark.UNKNOWN_CLASS:
            detail = f"class id {raw.class_ids[row]}" if len(raw.class_ids) else ""
        else:
            detail = "x1 y1 x2 y2 = " + " ".join(f"{value:g}" for value in boxes[row])
        raw.report.add(remark, raw.names[raw.image_index[row]], detail=detail)


def _table(raw: RawLabels, sizes: list[Size | None], kept: npt.NDArray[np.bool_]) -> Records:
    images = [index for index, size in enumerate(sizes) if size is not None]
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(raw.image_index[rows], kind="stable")]
    boxes = raw.boxes[rows].astype(np.float32)
    areas = raw.areas[rows].astype(np.float32)
    own = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    counts = np.bincount(raw.image_index[rows], minlength=len(sizes))[images] if images else np.zeros(0, np.int64)
    return Records(
        tuple(raw.paths[index] for index in images),
        tuple(raw.image_ids[index] for index in images),
        np.array([sizes[index] for index in images], np.int64).reshape(-1, 2),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes,
        raw.labels[rows].astype(np.int64),
        raw.is_crowd[rows].astype(np.bool_),
        raw.is_difficult[rows].astype(np.bool_),
        np.where(np.isfinite(areas) & (areas >= 0), areas, own).astype(np.float32),
    )


def lies_below(folder: Path, file: str) -> bool:
    """Whether ``file``, an absolute path, is below the folder, judged by the names alone."""
    return Path(os.path.normpath(file)).is_relative_to(os.path.abspath(folder))


def inside(folder: Path, name: str, source: str) -> str:
    """The file ``name`` of a label file, within ``folder``; an absolute name may lie anywhere below it.

    Raises:
        ValueError: the name climbs out of the folder.
    """
    plain = name.replace("\\", "/")
    normal = os.path.normpath(plain).replace("\\", "/")  # as Windows gives it
    if os.path.isabs(plain) and lies_below(folder, normal):
        return normal
    if os.path.isabs(plain) or normal == ".." or normal.startswith("../") or (len(plain) > 1 and plain[1] == ":"):
        raise ValueError(
            f"{source}: the image {name!r} climbs out of the image folder {folder}; expected a path within it; correct the labels"
        )
    return os.path.join(str(folder), normal)
