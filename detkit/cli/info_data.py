"""What a data set holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from detkit.cli.report import count, shown, table

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.inference.anchor_recall import AnchorRecall


def print_data(path: str, images: str | None, split: str | None) -> None:
    """Print each part of a data set: images, classes, box sizes, and what its reader had to say."""
    from detkit.data import SourceConfig, read_source, splits_of

    source = SourceConfig(path=path, images=images, split=split)
    parts = [source] if split is not None else [source.replace(split=part) for part in splits_of(source)] or [source]
    for place, part in enumerate(parts):
        print("\n" * bool(place) + data_text(read_source(part)))


def data_text(data: DetectionData) -> str:
    """A data set in words and tables."""
    records = data.records
    empty = int((records.lengths == 0).sum())
    flags = [
        f"{int(flag.sum()):,} {name}" for name, flag in (("crowd", records.is_crowd), ("difficult", records.is_difficult)) if flag.any()
    ]
    boxes = count(len(records.boxes), "box", "boxes") + (f" ({', '.join(flags)})" if flags else "")
    lines = [f"{data.name}: {count(len(data), 'image')} ({count(empty, 'image')} without objects), {boxes}"]
    lines += [_image_sizes(records.sizes), "", _classes(data), "", _box_sizes(data)]
    return "\n".join([*lines, *([""] if data.report.summary() else []), *data.report.summary()])


def recall_text(rows: Sequence[AnchorRecall]) -> str:
    """How well anchors cover boxes, as a table."""
    header = ("size", "boxes", "mean best IoU", "recall at .5", "recall at .7")
    cells = [(row.size, f"{row.boxes:,}", *map(shown, (row.mean_best_iou, row.recall_50, row.recall_70))) for row in rows]
    return table(cells, header, set(header[1:]))


def _image_sizes(sizes: np.ndarray) -> str:
    if not len(sizes):
        return "no images"
    low, high = sizes.min(0), sizes.max(0)
    unique, counts = np.unique(sizes, axis=0, return_counts=True)
    common = unique[counts.argmax()]
    often = f"most often {common[1]} x {common[0]} ({count(int(counts.max()), 'image')})"
    return f"image sizes: width {low[1]} to {high[1]}, height {low[0]} to {high[0]}, {often}"


def _classes(data: DetectionData) -> str:
    records = data.records
    total = max(len(records.labels), 1)
    rows = []
    for label, (name, number) in enumerate(zip(data.class_names, data.category_ids, strict=True)):
        mine = records.labels == label
        images = len(np.unique(records.image_index[mine]))
        rows.append((label, name, number, f"{mine.sum():,}", f"{images:,}", f"{100 * mine.sum() / total:.1f} %"))
    header = ("label", "class", "id", "boxes", "images", "share")
    return table(rows, header, {"label", "id", "boxes", "images", "share"})


def _box_sizes(data: DetectionData) -> str:
    """Counts by COCO's size classes and the spread of sides; areas of the boxes themselves, in the images' own pixels."""
    boxes = data.records.boxes
    if not len(boxes):
        return "no boxes"
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    shares = [(name, int(((sides >= low) & (sides < high)).sum())) for name, low, high in _SIDES]
    spread = ", ".join(f"{share} % below {np.percentile(sides, share):.0f}" for share in (5, 50, 95))
    counts = ", ".join(f"{name} {number:,} ({100 * number / len(sides):.1f} %)" for name, number in shares)
    return f"box sizes: {counts}\nside of a square of a box's area, in pixels: {spread}"


_SIDES = (("small (below 32 x 32)", 0, 32), ("medium", 32, 96), ("large (96 x 96 and above)", 96, np.inf))
