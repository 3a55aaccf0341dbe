"""YOLO: a ``data.yaml`` and one text file per image, with normalized centers and sizes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detkit.data.readers.assemble import RawLabels, assemble
from detkit.data.readers.outlines import RawPolygons
from detkit.data.readers.protocol import ReadOptions, resolve_split
from detkit.data.readers.text import read_text
from detkit.data.readers.turned import box_around
from detkit.data.readers.yolo.files import (
    YoloDescription,
    description_file,
    read_description,
)
from detkit.data.readers.yolo.labels import find_label_file, label_file_candidates
from detkit.data.records import DetectionData
from detkit.data.report import ReadIssue, ReadReport


class YoloReader:
    """Lines ``class x_center y_center width height`` as fractions of the upright image, or polygons."""

    name = "YOLO"
    kind = "yolo"
    expects = "a .yaml or Darknet .data file with the class names, or a folder with a data.yaml, or with a classes.txt and label files"

    def recognizes(self, path: Path) -> bool:
        """Return whether it is a YAML or ``.data`` file, or a folder with one, or with a list of classes and labeled images."""
        return description_file(path) is not None

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return those of ``train``, ``val`` and ``test`` that the file lists."""
        return tuple(filter(None, read_description(path).splits)) if description_file(path) else ()

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split; see :class:`detkit.data.readers.protocol.Reader`. Every image's header is read, for its size."""
        description = read_description(path)
        file = description.file
        if not description.splits:
            raise ValueError(f"{file}: expected at least one of the keys train, val, test, got none")
        split = resolve_split(file, options.split, tuple(filter(None, description.splits))) or ""
        source = f"{file} ({split})" if split else str(description.root)
        raw = _labels(description, split, options, source)
        records = assemble(raw, options.check)
        root = str(options.images or description.image_root(split) or "")
        return DetectionData(source, description.names, tuple(range(len(description.names))), records, raw.report, image_root=root)


@dataclass
class _Rows:
    """Columns of the lines of all label files: image index, class number, box and outline."""

    images: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    polygons: RawPolygons = field(default_factory=RawPolygons)


def _labels(description: YoloDescription, split: str, options: ReadOptions, source: str) -> RawLabels:
    report, rows = ReadReport(source), _Rows()
    for issue, entries in description.unread.items():
        report.add_all(issue, entries)
    counts = Counter(description.images(split, options, report))
    files, root = list(counts), options.images or description.root
    names = [_short_name(file, root) for file in files]
    for file, name in zip(files, names, strict=True):
        report.add(ReadIssue.DUPLICATE_IMAGE, name, counts[file] - 1)
    _read_label_files(description, dict(zip(files, names, strict=True)), rows, report)
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


def _read_label_files(description: YoloDescription, files: dict[Path, str], rows: _Rows, report: ReadReport) -> None:
    """Append the lines of the label files of all images, given with their names, to the rows.

    Raises:
        ValueError: If no image that exists has a label file.
    """
    users: dict[Path, str] = {}
    max_values = 5 if description.has_keypoints else None
    for index, (file, name) in enumerate(files.items()):
        label_file = find_label_file(file, description.other_label_file(file))
        if label_file is None:
            report.add(ReadIssue.NO_LABEL_FILE, name)
            continue
        if label_file in users:
            report.add(ReadIssue.SHARED_LABEL_FILE, name, detail=f"also that of {users[label_file]}")
        users.setdefault(label_file, name)
        polygons, confidences = _read_label_file(label_file, index, rows, max_values)
        report.add(ReadIssue.POLYGON, name, polygons)
        report.add(ReadIssue.CONFIDENCE, name, confidences)
    if files and not users and any(file.is_file() for file in files):
        first = next(iter(files))
        expected = label_file_candidates(first)[0]
        raise ValueError(f"{report.source}: none of its {len(files)} images has a label file; expected {expected} for the first")


def _short_name(image: Path, root: Path) -> str:
    return image.relative_to(root).as_posix() if image.is_relative_to(root) else image.as_posix()


def _read_label_file(file: Path, index: int, rows: _Rows, max_values: int | None) -> tuple[int, int]:
    """Append the lines of one label file, with at most ``max_values`` numbers each, to the rows.

    Returns:
        The number of polygons, and of lines with a confidence.

    Raises:
        ValueError: If a line is not that of a box or polygon.
    """
    polygons = confidences = 0
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = [float(value) for value in line.split()][:max_values]
        except ValueError:
            raise ValueError(f"{file}, line {number}: expected numbers, class x y width height, got {line.strip()[:80]!r}") from None
        if len(values) == 6 and 0 <= values[5] <= 1:  # as tools write detections; 6 is no number of values of a polygon
            confidences += 1
            values.pop()
        box = _box(values)
        if box is None or not values[0].is_integer() or abs(values[0]) >= 2**63:
            raise ValueError(
                f"{file}, line {number}: expected class x y width height (and a confidence from 0 to 1), or a class and the points of a "
                f"polygon, got {len(values)} numbers: {line.strip()[:80]!r}"
            )
        polygons += len(values) > 5
        rows.images.append(index)
        rows.classes.append(int(values[0]))
        rows.boxes.append(box)
        rows.polygons.add([values[1:]] if len(values) > 5 else [])
    return polygons, confidences


def _box(values: list[float]) -> tuple[float, float, float, float] | None:
    """Return ``x1 y1 x2 y2`` as fractions of the image, from a center and a size or around a polygon of at least three points."""
    if len(values) == 5:
        _, x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) >= 7 and len(values) % 2 == 1:
        return box_around(values[1:])
    return None
