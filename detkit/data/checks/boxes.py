"""Checks of single boxes and of pairs of boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from detkit.arrays import Floats, Integers
from detkit.data.checks import rules
from detkit.data.checks.findings import Finding
from detkit.data.checks.pairs import repeated_boxes
from detkit.data.records import DetectionData

TINY_SIDE = 2.0
"""Side in pixels below which a box is tiny."""
THIN_RATIO = 50.0
"""Ratio of the sides above which a box is thin."""
WHOLE_IMAGE = 0.99
"""Fraction of its image from which a box covers the whole image."""


def box_findings(part: str, data: DetectionData) -> Iterator[Finding]:
    """Find repeated boxes, two classes on one object, and boxes of extreme size or shape; crowds are left out."""
    records = data.records
    for rule, repeats in zip((rules.DUPLICATE_BOX, rules.CLASS_CONFLICT), repeated_boxes(records), strict=True):
        if len(repeats.boxes):
            yield Finding.of_boxes(rule, part, data, repeats.boxes, details=partial(repeats.detail, records, data.class_names))
    sides = records.boxes[:, 2:] - records.boxes[:, :2]
    short, long = sides.min(1, initial=np.inf), sides.max(1, initial=0)
    tiny = short < TINY_SIDE
    limits = np.repeat(records.sizes.astype(np.float64).prod(1), records.lengths)
    tests = (
        (rules.TINY_BOX, tiny),
        (rules.THIN_BOX, ~tiny & (long > THIN_RATIO * short)),
        (rules.WHOLE_IMAGE_BOX, sides.prod(1) >= WHOLE_IMAGE * limits),
    )
    for rule, flags in tests:
        boxes = np.flatnonzero(flags & ~records.is_crowd)
        if len(boxes):
            yield Finding.of_boxes(rule, part, data, boxes, details=_sizes(data, sides, boxes))


def _sizes(data: DetectionData, sides: Floats, boxes: Integers) -> Callable[[int], str]:
    """Return the function that describes a case: its class, width and height."""

    def detail(case: int) -> str:
        row = int(boxes[case])
        return f"{data.class_names[data.records.labels[row]]}, {sides[row, 0]:.4g} x {sides[row, 1]:.4g} pixels"

    return detail
