"""Regions to ignore: difficult objects, and boxes of a class whose name says so, become regions as COCO's crowds are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from detkit.arrays import Flags
from detkit.data.records import DetectionData, Records
from detkit.data.report import ReadIssue, ReadReport

IGNORE_CLASS = "ignore"
"""Name of the class that marks regions to ignore in label formats without a flag for them."""


def ignore_class(data: DetectionData, names: Iterable[str] = (IGNORE_CLASS,)) -> DetectionData:
    """Turn the boxes of the named classes into regions to ignore for every class, and remove these classes from the data.

    Names are compared without case and surrounding space. Labels of whole images stay as they are.

    Raises:
        ValueError: If no other class is left.
    """
    ignored = {name.strip().casefold() for name in names}
    kept = [label for label, name in enumerate(data.class_names) if name.strip().casefold() not in ignored]
    if len(kept) == len(data.class_names) or data.is_classification:
        return data
    if not kept:
        raise ValueError(
            f"{data.name}: its only class, {data.class_names[0]!r}, marks regions to ignore; expected a class of objects: label some, or "
            "read it as an ordinary class with ignore_classes=()"
        )
    table = np.full(len(data.class_names), -1, np.int64)
    table[kept] = np.arange(len(kept))
    labels = np.where(data.records.is_ignore, 0, table[data.records.labels])
    regions = labels < 0
    columns = {
        **data.records.columns,
        "labels": np.where(regions, 0, labels),
        "is_crowd": data.records.is_crowd | regions,
        "is_ignore": data.records.is_ignore | regions,
    }
    renumbered = {label: index for index, label in enumerate(kept)}
    file = data.coco_file
    if file is not None:
        categories = frozenset(category for category, label in file.labels.items() if label not in renumbered)
        file = replace(file.relabeled([renumbered.get(label) for label in range(len(table))]), ignored=file.ignored | categories)
    return replace(
        data,
        class_names=tuple(data.class_names[label] for label in kept),
        category_ids=tuple(data.category_ids[label] for label in kept),
        records=replace(data.records, columns=columns),
        report=_counted(data, ReadIssue.IGNORED_CLASS, regions),
        coco_file=file,
    )


def ignore_difficult(data: DetectionData) -> DetectionData:
    """Turn difficult objects into regions to ignore for their class, as COCO's crowds are; they remain marked as difficult."""
    difficult = data.records.is_difficult & ~data.records.is_crowd
    if not difficult.any():
        return data
    columns = {**data.records.columns, "is_crowd": data.records.is_crowd | difficult}
    file = None if data.coco_file is None else replace(data.coco_file, ignores_difficult=True)
    report = _counted(data, ReadIssue.IGNORED_DIFFICULT, difficult)
    return replace(data, records=replace(data.records, columns=columns), report=report, coco_file=file)


def with_ignore_class(data: DetectionData, *, crowds: bool = True) -> DetectionData:
    """Turn regions to ignore into boxes of a class called :data:`IGNORE_CLASS`, for a label format that has no flag for them.

    Reading what was written gives the same regions, for every class. The class comes last and is added only if it is needed.

    Args:
        data: The data, as it was read.
        crowds: Whether COCO's crowds, which are ignored for their class only, become such boxes too.
    """
    regions = data.records.is_crowd if crowds else data.records.is_ignore
    if not regions.any():
        return data
    label = len(data.class_names)
    columns = {
        **data.records.columns,
        "labels": np.where(regions, label, data.records.labels),
        "is_crowd": data.records.is_crowd & ~regions,
        "is_ignore": np.zeros_like(regions),
    }
    return replace(
        data,
        class_names=(*data.class_names, IGNORE_CLASS),
        category_ids=(*data.category_ids, max(data.category_ids, default=0) + 1),
        records=replace(data.records, columns=columns),
        coco_file=None,
    )


def _counted(data: DetectionData, issue: ReadIssue, rows: Flags) -> ReadReport:
    """Return a copy of the report with the boxes of each image among ``rows`` added to an issue."""
    report, records = data.report.copy(), data.records
    images, counts = np.unique(records.image_index[rows], return_counts=True)
    for image, count in zip(images.tolist(), counts.tolist(), strict=True):
        report.add(issue, _name(records, image), count)
    return report


def _name(records: Records, image: int) -> str:
    return records.paths[image].replace("\\", "/").rpartition("/")[2]
