"""Objects with the names of their classes, as most annotation tools write them, on the way into a table of labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.data.readers.assemble import RawLabels
from detkit.data.readers.outlines import RawPolygons
from detkit.data.readers.turned import Box
from detkit.data.records import ImageId
from detkit.data.report import ReadIssue, ReadReport
from detkit.structures import Segmentations, Size


@dataclass(frozen=True, slots=True)
class RawObject:
    """One object of an image, in detkit's convention.

    Attributes:
        name: Its class.
        box: ``x1 y1 x2 y2``, in pixels or as fractions of the image.
        polygons: Its outlines, each ``x y x y ...`` in the same unit.
        mask: Its run lengths in COCO's form instead of polygons, or a function that reads them.
        is_difficult: Whether it is marked as difficult.
        is_crowd: Whether it is a group of objects.
        issue: What the report counts about it, such as a polygon that was replaced by a box.
    """

    name: str
    box: Box
    polygons: Sequence[Sequence[float]] = ()
    mask: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None
    is_difficult: bool = False
    is_crowd: bool = False
    issue: ReadIssue | None = None


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One image with its objects.

    Attributes:
        name: Its name in the report.
        image_id: Its id.
        path: Its file, whether it exists or not.
        size: Its stated ``(height, width)``; None if none is stated.
        objects: Its objects.
        skipped: Number of its shapes that are no boxes or polygons.
        is_labeled: Whether there are labels of it; without labels, it is read as an image without objects.
    """

    name: str
    image_id: ImageId
    path: str
    size: Size | None = None
    objects: Sequence[RawObject] = ()
    skipped: int = 0
    is_labeled: bool = True


def raw_labels(
    entries: Sequence[RawEntry], names: Sequence[str], report: ReadReport, *, folder: str = "", states_sizes: bool = True
) -> RawLabels:
    """Return the labels of images whose boxes are in pixels, and count in the report what is to be said about them.

    Args:
        entries: The images.
        names: All class names; every object has one of them.
        report: The report to add to; its source names the data.
        folder: Where the images were searched, for messages.
        states_sizes: Whether the format states the sizes of images.
    """
    objects = [item for entry in entries for item in entry.objects]
    label = {name: index for index, name in enumerate(names)}
    _report(entries, report)
    polygons, segmentations = _outlines(objects)
    columns = {
        "is_difficult": np.array([item.is_difficult for item in objects], np.bool_),
        "is_crowd": np.array([item.is_crowd for item in objects], np.bool_),
        "segmentations": segmentations,
    }
    return RawLabels(
        source=report.source,
        paths=[entry.path for entry in entries],
        names=[entry.name for entry in entries],
        image_ids=[entry.image_id for entry in entries],
        sizes=[entry.size for entry in entries],
        image_index=np.repeat(np.arange(len(entries)), [len(entry.objects) for entry in entries]).astype(np.int64),
        boxes=np.array([item.box for item in objects], np.float64).reshape(-1, 4),
        labels=np.array([label[item.name] for item in objects], np.int64),
        columns=columns,
        polygons=polygons,
        unlabeled={index for index, entry in enumerate(entries) if not entry.is_labeled},
        folder=folder,
        states_sizes=states_sizes,
        report=report,
    )


def _report(entries: Sequence[RawEntry], report: ReadReport) -> None:
    for entry in entries:
        report.add(ReadIssue.UNREAD_SHAPE, entry.name, entry.skipped)
        report.add(ReadIssue.NO_LABEL_FILE, entry.name, int(not entry.is_labeled))
        for item in entry.objects:
            if item.issue is not None:
                report.add(item.issue, entry.name)


def _outlines(objects: Sequence[RawObject]) -> tuple[RawPolygons | None, Segmentations | None]:
    """Return the outlines as polygons, or as a column of values if some are run lengths."""
    if any(item.mask is not None for item in objects):
        values = [item.mask or [list(polygon) for polygon in item.polygons] or None for item in objects]
        return None, Segmentations.of_values(values)
    polygons = RawPolygons()
    for item in objects:
        polygons.add(item.polygons)
    return polygons, None
