"""Checks of masks: against their boxes, and whether they can be used at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detkit.arrays import Floats
from detkit.data.checks import rules
from detkit.data.checks.findings import Finding, Rule
from detkit.data.mask_pixels import mask_pixels
from detkit.data.records import DetectionData
from detkit.structures import Segmentations, Size

MAX_MASKS = 20_000
"""Masks that are drawn, evenly spaced over those of the data; drawing all of a large data set would take minutes."""
MAX_PIXELS, MAX_SHARE = 3.0, 0.1
"""A box differs from that around its mask if a side is off by more than both: pixels, and the fraction of the box's side."""


def mask_findings(part: str, data: DetectionData) -> Iterator[Finding]:
    """Find masks that disagree with their boxes, are empty or cannot be used, and objects without one; crowds are left out."""
    segmentations = data.records.segmentations
    if segmentations is None or not segmentations.present.any():
        return
    objects = ~data.records.is_crowd
    missing = np.flatnonzero(objects & ~segmentations.present)
    rows = np.flatnonzero(objects & segmentations.present)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MAX_MASKS)).astype(np.int64)] if len(rows) else rows
    cases: dict[Rule, list[tuple[int, str]]] = {rules.MASK_OFF_BOX: [], rules.EMPTY_MASK: [], rules.INVALID_MASK: []}
    images = data.records.image_index
    for row in rows.tolist():
        height, width = data.records.sizes[images[row]].tolist()
        rule, detail = _checked(segmentations, row, data.records.boxes[row], (height, width))
        if rule is not None:
            cases[rule].append((row, f"{data.class_names[data.records.labels[row]]}, {detail}"))
    for rule, found in cases.items():
        if found:
            details = [detail for _, detail in found]
            yield Finding.of_boxes(rule, part, data, np.array([row for row, _ in found], np.int64), details=details)
    if len(missing):
        yield Finding.of_boxes(rules.MISSING_MASK, part, data, missing)


def _checked(segmentations: Segmentations, row: int, box: Floats, size: Size) -> tuple[Rule | None, str]:
    """Return the rule that a mask breaks, if any, and its particulars."""
    try:
        masks = mask_pixels(segmentations[[row]], 1, size)
    except ValueError as error:
        return rules.INVALID_MASK, str(error)
    around = masks.boxes[0]
    if (around[2:] <= around[:2]).any():
        return rules.EMPTY_MASK, "no pixel is inside"
    sides = np.tile(box[2:] - box[:2], 2)
    if (np.abs(box - around) > np.maximum(MAX_PIXELS, MAX_SHARE * sides)).any():
        return rules.MASK_OFF_BOX, f"box {_numbers(box)}, around the mask {_numbers(around)}"
    return None, ""


def _numbers(box: Floats) -> str:
    return " ".join(f"{value:.4g}" for value in box.tolist())
