"""Statistics of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from detkit.cli.report import count, report_lines, shown, table
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.diagnostics.anchor_recall import AnchorRecall


def print_data(path: str, images: str | None, split: str | None) -> None:
    """Print the images, classes, box sizes and the reader's report of each part of a data set."""
    from detkit.data import SourceConfig, read_source, splits_of

    source = SourceConfig(path=path, images=images, split=split)
    parts = [source] if split is not None else [source.replace(split=part) for part in splits_of(source)] or [source]
    for index, part in enumerate(parts):
        print("\n" * bool(index) + data_text(read_source(part)))


def data_text(data: DetectionData) -> str:
    """Return the description of a data set."""
    records = data.records
    empty = int((records.lengths == 0).sum())
    flags = [
        f"{int(flag.sum()):,} {name}" for name, flag in (("crowd", records.is_crowd), ("difficult", records.is_difficult)) if flag.any()
    ]
    boxes = count(len(records.boxes), "box", "boxes") + (f" ({', '.join(flags)})" if flags else "")
    lines = [f"{printable(data.name)}: {count(len(data), 'image')} ({count(empty, 'image')} without objects), {boxes}"]
    lines += [_image_sizes(records.sizes), "", _classes(data), "", _box_sizes(data)]
    report = report_lines(data.report)
    return "\n".join([*lines, *([""] if report else []), *report])


def recall_text(rows: Sequence[AnchorRecall]) -> str:
    """Return a table of the recall of anchors by box size."""
    header = ("size", "boxes", "mean best IoU", "recall at .5", "recall at .7")
    cells = [(row.size, f"{row.boxes:,}", *map(shown, (row.mean_best_iou, row.recall_50, row.recall_70))) for row in rows]
    return table(cells, header, set(header[1:]))


def _image_sizes(sizes: np.ndarray) -> str:
    if not len(sizes):
        return "no images"
    low, high = sizes.min(0), sizes.max(0)
    unique, counts = np.unique(sizes, axis=0, return_counts=True)
    mode = unique[counts.argmax()]
    most_frequent = f"most often {mode[1]} x {mode[0]} ({count(int(counts.max()), 'image')})"
    return f"image sizes: width {low[1]} to {high[1]}, height {low[0]} to {high[0]}, {most_frequent}"


def _classes(data: DetectionData) -> str:
    records = data.records
    total = max(len(records.labels), 1)
    rows = []
    for label, (name, number) in enumerate(zip(data.class_names, data.category_ids, strict=True)):
        boxes = records.labels == label
        images = len(np.unique(records.image_index[boxes]))
        rows.append((label, name, number, f"{boxes.sum():,}", f"{images:,}", f"{100 * boxes.sum() / total:.1f} %"))
    header = ("label", "class", "id", "boxes", "images", "share")
    return table(rows, header, {"label", "id", "boxes", "images", "share"})


def _box_sizes(data: DetectionData) -> str:
    """Return the counts by COCO's size classes and percentiles of the box side, from box areas in original pixels."""
    boxes = data.records.boxes
    if not len(boxes):
        return "no boxes"
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    numbers = [(name, int(((sides >= low) & (sides < high)).sum())) for name, low, high in _SIZES]
    percentiles = ", ".join(f"{percent} % below {np.percentile(sides, percent):.0f}" for percent in (5, 50, 95))
    counts = ", ".join(f"{name} {number:,} ({100 * number / len(sides):.1f} %)" for name, number in numbers)
    return f"box sizes: {counts}\nsquare root of the box area, in pixels: {percentiles}"


_SIZES = (("small (below 32 x 32)", 0, 32), ("medium", 32, 96), ("large (96 x 96 and above)", 96, np.inf))
