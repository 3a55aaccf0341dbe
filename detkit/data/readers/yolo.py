"""YOLO: a ``data.yaml``, one text file a image, normalized centers and sizes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detkit.data.readers.assemble import RawLabels, assemble
from detkit.data.readers.protocol import chosen_split
from detkit.data.readers.text import text_of
from detkit.data.readers.yolo_files import Listing, description_file, label_file, label_places, read_description
from detkit.data.records import DetectionData
from detkit.data.report import ReadReport, Remark


class YoloReader:
    """Lines ``class x_center y_center width height`` in parts of the upright image, or polygons."""

    name = "YOLO"
    expects = "a .yaml or Darknet .data file with the class names, or a folder with a data.yaml"

    def recognizes(self, path: Path) -> bool:
        """A YAML or ``.data`` file, or a folder that holds one with names."""
        return description_file(path) is not None

    def splits(self, path: Path) -> tuple[str, ...]:
        """Those of ``train``, ``val``, ``test`` that the file has."""
        file = description_file(path)
        return tuple(read_description(file).parts) if file else ()

    def read(self, path: Path, images: Path | None, split: str | None, check: int) -> DetectionData:
        """Read one part; see :class:`detkit.data.readers.protocol.Reader`. Every image's header is read, for its size."""
        file = description_file(path)
        if file is None:
            raise ValueError(f"{path}: expected {self.expects}")
        listing = read_description(file)
        part = chosen_split(file, split, tuple(listing.parts))
        if part is None:
            raise ValueError(f"{file}: expected at least one of the keys train, val, test, found none")
        source = f"{file} ({part})"
        raw = _labels(listing, part, images, source)
        records = assemble(raw, check)
        return DetectionData(source, listing.names, tuple(range(len(listing.names))), records, raw.report)


@dataclass
class _Rows:
    """What the lines of all label files say."""

    images: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)


def _labels(listing: Listing, part: str, images: Path | None, source: str) -> RawLabels:
    report, rows = ReadReport(source), _Rows()
    listed = Counter(listing.images(part, images))
    photos, root = list(listed), images or listing.root
    names = [_short(image, root) for image in photos]
    for image, name in zip(photos, names, strict=True):
        report.add(Remark.LISTED_TWICE, name, listed[image] - 1)
    found = 0
    for index, (image, name) in enumerate(zip(photos, names, strict=True)):
        labels = label_file(image, listing.listed_beside(image))
        if labels is None:
            report.add(Remark.NO_LABEL_FILE, name)
            continue
        found += 1
        report.add(Remark.POLYGON, name, _read_lines(labels, index, rows, 5 if listing.has_keypoints else None))
    if photos and not found:
        raise ValueError(f"{source}: none of its {len(photos)} images has a label file; looked for {label_places(photos[0])[0]} first")
    classes = np.array(rows.classes, np.int64)
    count = len(classes)
    return RawLabels(
        source=source,
        paths=[str(image) for image in photos],
        names=names,
        image_ids=list(names),
        sizes=[None] * len(photos),
        image_index=np.array(rows.images, np.int64),
        boxes=np.array(rows.boxes, np.float64).reshape(-1, 4),
        labels=np.where((classes >= 0) & (classes < len(listing.names)), classes, -1),
        is_crowd=np.zeros(count, np.bool_),
        is_difficult=np.zeros(count, np.bool_),
        areas=np.full(count, math.nan),
        relative=True,
        class_ids=classes,
        folder=str(root),
        report=report,
    )


def _short(image: Path, root: Path) -> str:
    return image.relative_to(root).as_posix() if image.is_relative_to(root) else image.as_posix()


def _read_lines(file: Path, index: int, rows: _Rows, most: int | None) -> int:
    """Add the lines of one label file, ``most`` numbers of each, to the rows; how many of them are polygons."""
    polygons = 0
    for number, line in enumerate(text_of(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = [float(value) for value in line.split()][:most]
        except ValueError:
            raise ValueError(f"{file}, line {number}: expected numbers, class x y width height, got {line.strip()[:80]!r}") from None
        box = _box(values)
        if box is None or not values[0].is_integer() or abs(values[0]) >= 2**63:
            raise ValueError(
                f"{file}, line {number}: expected class x y width height, or a class and the points of a polygon, "
                f"got {len(values)} numbers: {line.strip()[:80]!r}"
            )
        polygons += len(values) > 5
        rows.images.append(index)
        rows.classes.append(int(values[0]))
        rows.boxes.append(box)
    return polygons


def _box(values: list[float]) -> tuple[float, float, float, float] | None:
    """``x1 y1 x2 y2`` in parts of the image: from a center and a size, or around a polygon of three points or more."""
    if len(values) == 5:
        _, x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) >= 7 and len(values) % 2 == 1:
        xs, ys = values[1::2], values[2::2]
        if any(math.isnan(value) for value in values):
            return math.nan, math.nan, math.nan, math.nan
        return min(xs), min(ys), max(xs), max(ys)
    return None
