"""AP and recall by size of the objects and by number of objects in the image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from detkit.evaluation.analysis.matching import COCO_RANGES, IOU_THRESHOLDS, Flags, Matching, Objects, Ranges
from detkit.evaluation.analysis.weighted import Entries
from detkit.evaluation.coco import coco_mean
from detkit.evaluation.results import Floats

SIZES = ("small", "medium", "large")
"""Names of COCO's groups by area."""
SIDES = (0, 16, 32, 64, 96, 128, 256, 512)
"""Sides of squares whose areas bound the finer groups; the last one is open."""
AREAS: Ranges = tuple(
    (float(low * low), float(np.nextafter(high * high, 0)) if high else 1e10) for low, high in zip(SIDES, (*SIDES[1:], 0), strict=True)
)
"""Area ranges of the finer groups, bounds included."""
COUNTS = ((1, 1), (2, 3), (4, 7), (8, 15), (16, 31), (32, np.inf))
"""Numbers of objects in an image that form a group."""


@dataclass(frozen=True)
class Group:
    """AP and recall of a part of the objects; NaN where there are none.

    Attributes:
        name: Name of the group, such as ``"small"`` or ``"4 to 7"``.
        low: Smallest area in square pixels, or number of objects in an image.
        high: Largest area (not included, except by COCO's own groups) or number (included); infinite if there is none.
        objects: Number of objects.
        images: Number of images with such objects.
        ap: AP over IoU .50 to .95.
        ap50: AP at IoU .5.
        ar: Recall with 100 detections over IoU .50 to .95.
    """

    name: str
    low: float
    high: float
    objects: int
    images: int
    ap: float
    ap50: float
    ar: float


@dataclass(frozen=True)
class Groups:
    """Groups of objects.

    Attributes:
        sizes: COCO's small, medium and large objects.
        areas: Finer groups by area.
        crowdedness: Groups of images by their number of objects.
    """

    sizes: tuple[Group, ...]
    areas: tuple[Group, ...]
    crowdedness: tuple[Group, ...]

    @classmethod
    def of(cls, matching: Matching) -> Groups:
        """Return the groups of a matching at COCO's area ranges, followed by :data:`AREAS`, and at COCO's IoU thresholds."""
        sizes = [_by_area(matching, index, SIZES[index - 1], COCO_RANGES[index]) for index in range(1, len(COCO_RANGES))]
        names = [f"{low}² to {high}²" for low, high in pairwise(SIDES)] + [f"over {SIDES[-1]}²"]
        areas = [
            _by_area(matching, index, name, area) for index, (name, area) in enumerate(zip(names, AREAS, strict=True), len(COCO_RANGES))
        ]
        return cls(tuple(sizes), tuple(areas), _by_count(matching))


def _by_area(matching: Matching, index: int, name: str, area: tuple[float, float]) -> Group:
    values = Entries.of(matching, index, area, len(IOU_THRESHOLDS)).evaluate(np.ones((matching.images, 1)))[..., 0]
    objects = matching.objects
    inside = ~objects.crowd & (objects.area >= area[0]) & (objects.area <= area[1])
    low, high = area[0], np.inf if area[1] == COCO_RANGES[0][1] else float(np.ceil(area[1]))
    return _group(name, (low, high), objects, inside, values)


def _by_count(matching: Matching) -> tuple[Group, ...]:
    objects = matching.objects
    counts = np.bincount(objects.image[~objects.crowd], minlength=matching.images)
    members = np.stack([(counts >= low) & (counts <= high) for low, high in COUNTS], axis=1)
    values = Entries.of(matching, 0, COCO_RANGES[0], len(IOU_THRESHOLDS)).evaluate(members.astype(np.float64))
    return tuple(
        _group(_count_name(low, high), (low, high), objects, ~objects.crowd & members[objects.image, index], values[..., index])
        for index, (low, high) in enumerate(COUNTS)
    )


def _count_name(low: float, high: float) -> str:
    if high == np.inf:
        return f"{low} or more"
    return f"{low}" if low == high else f"{low} to {high}"


def _group(name: str, limits: tuple[float, float], objects: Objects, inside: Flags, values: Floats) -> Group:
    images = len(np.unique(objects.image[inside]))
    ap, ap50, ar = (coco_mean(part) for part in (values[:, 0], values[:, 0, 0], values[:, 1]))
    return Group(name, *limits, int(inside.sum()), images, ap, ap50, ar)
