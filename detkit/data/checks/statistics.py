"""Statistics of a part: images, objects, classes, and histograms of box sizes, shapes and objects per image."""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.arrays import Doubles
from detkit.data.records import DetectionData

_MOST_SIZES = 20
_OBJECT_EDGES = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
_RATIO_EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
_SIDE_EDGES = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 96.0, 128.0, 256.0, 512.0, 1024.0, 2048.0)


def part_statistics(data: DetectionData) -> dict[str, Any]:
    """Return the statistics of a part as JSON values.

    Returns:
        ``images``, ``boxes``, ``crowds``, ``difficult``, ``images_without_objects``, ``classes`` (boxes by class name, without crowds),
        ``image_sizes`` (the most frequent as ``[width, height, images]``), ``small``, ``medium`` and ``large`` (boxes by COCO's ranges of
        the area), and histograms ``objects_per_image``, ``box_sides`` (square root of the area in pixels) and ``aspect_ratios`` (width /
        height), each with ``edges`` (of the bins, the last one open), ``counts`` and ``median``.
    """
    records = data.records
    sides = (records.boxes[:, 2:] - records.boxes[:, :2]).astype(np.float64)
    areas = sides.prod(1)
    counts = np.bincount(records.labels[~records.is_crowd], minlength=len(data.class_names)).tolist()
    packed, images = np.unique(records.sizes[:, 0] << 32 | records.sizes[:, 1], return_counts=True)  # a tenth of the time of rows
    sizes = np.stack([packed >> 32, packed & 0xFFFFFFFF], 1)
    frequent = np.argsort(-images, kind="stable")[:_MOST_SIZES]
    return {
        "images": len(data),
        "boxes": len(records.labels),
        "crowds": int(records.is_crowd.sum()),
        "difficult": int(records.is_difficult.sum()),
        "images_without_objects": int((records.lengths == 0).sum()),
        "classes": dict(zip(data.class_names, counts, strict=True)),
        "image_sizes": [[*sizes[index, ::-1].tolist(), int(images[index])] for index in frequent.tolist()],
        "small": int((areas < 32**2).sum()),
        "medium": int(((areas >= 32**2) & (areas < 96**2)).sum()),
        "large": int((areas >= 96**2).sum()),
        "objects_per_image": _histogram(records.lengths.astype(np.float64), _OBJECT_EDGES),
        "box_sides": _histogram(np.sqrt(areas), _SIDE_EDGES),
        "aspect_ratios": _histogram(sides[:, 0] / np.maximum(sides[:, 1], 1e-9), _RATIO_EDGES),
    }


def _histogram(values: Doubles, edges: tuple[float, ...]) -> dict[str, Any]:
    counts = np.bincount(np.searchsorted(edges, values, side="right") - 1, minlength=len(edges)) if len(values) else np.zeros(len(edges))
    median = round(float(np.median(values)), 3) if len(values) else None
    return {"edges": list(edges), "counts": counts.astype(int).tolist(), "median": median}
