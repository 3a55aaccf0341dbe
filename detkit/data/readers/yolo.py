"""YOLO: a ``data.yaml`` and one text file per image, with normalized centers and sizes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detkit.data.readers.assemble import RawLabels, assemble
from detkit.data.readers.outlines import RawPolygons
from detkit.data.readers.protocol import resolve_split
from detkit.data.readers.text import read_text
from detkit.data.readers.turned import box_around
from detkit.data.readers.yolo_files import (
    YoloDescription,
    description_file,
    find_label_file,
    label_file_candidates,
    read_description,
)
from detkit.data.records import DetectionData
from detkit.data.report import ReadIssue, ReadReport


class YoloReader:
    """Lines ``class x_center y_center width height`` as fractions of the upright image, or polygons."""

    name = "YOLO"
    expects = "a .yaml or Darknet .data file with the class names, or a folder with a data.yaml"

    def recognizes(self, path: Path) -> bool:
        """Return whether it is a YAML or ``.data`` file, or a folder that contains one with class names."""
        return description_file(path) is not None

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return those of ``train``, ``val`` and ``test`` that the file lists."""
        file = description_file(path)
        return tuple(read_description(file).splits) if file else ()

    def read(self, path: Path, images: Path | None, split: str | None, check: int) -> DetectionData:
        """Read one split; see :class:`detkit.data.readers.protocol.Reader`. Every image's header is read, for its size."""
        file = description_file(path)
        if file is None:
            raise ValueError(f"{path}: expected {self.expects}")
        description = read_description(file)
        split = resolve_split(file, split, tuple(description.splits))
        if split is None:
            raise ValueError(f"{file}: expected at least one of the keys train, val, test, got none")
        source = f"{file} ({split})"
        raw = _labels(description, split, images, source)
        records = assemble(raw, check)
        return DetectionData(source, description.names, tuple(range(len(description.names))), records, raw.report)


@dataclass
class _Rows:
    """Columns of the lines of all label files: image index, class number, box and outline."""

    images: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    polygons: RawPolygons = field(default_factory=RawPolygons)


def _labels(description: YoloDescription, split: str, images: Path | None, source: str) -> RawLabels:
    report, rows = ReadReport(source), _Rows()
    counts = Counter(description.images(split, images))
    files, root = list(counts), images or description.root
    names = [_short_name(file, root) for file in files]
    for file, name in zip(files, names, strict=True):
        report.add(ReadIssue.DUPLICATE_IMAGE, name, counts[file] - 1)
    labeled = 0
    for index, (file, name) in enumerate(zip(files, names, strict=True)):
        label_file = find_label_file(file, description.darknet_label_file(file))
        if label_file is None:
            report.add(ReadIssue.NO_LABEL_FILE, name)
            continue
        labeled += 1
        report.add(ReadIssue.POLYGON, name, _read_label_file(label_file, index, rows, 5 if description.has_keypoints else None))
    if files and not labeled:
        expected = label_file_candidates(files[0])[0]
        raise ValueError(f"{source}: none of its {len(files)} images has a label file; expected {expected} for the first")
    classes = np.array(rows.classes, np.int64)
    return RawLabels(
        source=source,
        paths=[str(file) for file in files],
        names=names,
        image_ids=list(names),
        sizes=[None] * len(files),
        image_index=np.array(rows.images, np.int64),
        boxes=np.array(rows.boxes, np.float64).reshape(-1, 4),
        labels=np.where((classes >= 0) & (classes < len(description.names)), classes, -1),
        polygons=rows.polygons,
        relative=True,
        class_ids=classes,
        folder=str(root),
        report=report,
    )


def _short_name(image: Path, root: Path) -> str:
    return image.relative_to(root).as_posix() if image.is_relative_to(root) else image.as_posix()


def _read_label_file(file: Path, index: int, rows: _Rows, max_values: int | None) -> int:
    """Append the lines of one label file, with at most ``max_values`` numbers each, to the rows; return the number of polygons."""
    polygons = 0
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = [float(value) for value in line.split()][:max_values]
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
        rows.polygons.add([values[1:]] if len(values) > 5 else [])
    return polygons


def _box(values: list[float]) -> tuple[float, float, float, float] | None:
    """Return ``x1 y1 x2 y2`` as fractions of the image, from a center and a size or around a polygon of at least three points."""
    if len(values) == 5:
        _, x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) >= 7 and len(values) % 2 == 1:
        return box_around(values[1:])
    return None
