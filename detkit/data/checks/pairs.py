"""Pairs of boxes on the same object, found in all images at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles, Floats, Integers
from detkit.data.records import Records

SAME_OBJECT = 0.95
"""IoU above which two boxes are taken for boxes of one object."""
_SLACK = 1.0001
"""Factor that keeps pairs at the limit in spite of rounding."""


@dataclass(frozen=True, eq=False)
class Repeats:
    """Boxes that repeat an earlier box of their image.

    Attributes:
        boxes: Rows of the records, ascending.
        partners: Row of an earlier box of the same image for each.
        ious: Their IoU.
    """

    boxes: Integers
    partners: Integers
    ious: Floats

    def detail(self, records: Records, class_names: tuple[str, ...], case: int) -> str:
        """Return the description of one case."""
        box, partner = int(self.boxes[case]), int(self.partners[case])
        first = records.offsets[np.searchsorted(records.offsets, partner, side="right") - 1]
        names = [class_names[label] for label in records.labels[[box, partner]].tolist()]
        same = names[0] if names[0] == names[1] else f"{names[0]}, which is {names[1]}"
        return f"{same} as object {partner - first + 1}" + (f", IoU {self.ious[case]:.2f}" if self.ious[case] < 0.9995 else "")


def repeated_boxes(records: Records) -> tuple[Repeats, Repeats]:
    """Return the boxes that repeat an earlier box of the same class, and those that repeat one of another class; crowds are left out.

    Two boxes with an IoU above ``t`` have left edges closer than ``1 - t`` of the width of either. So the boxes of each image are sorted by
    their left edge, and each is compared with the next ones while their edges are that close.
    """
    rows = np.flatnonzero(~records.is_crowd)
    images = records.image_index[rows]
    order = rows[np.lexsort((records.boxes[rows, 0], images))]
    image, boxes, labels = records.image_index[order], records.boxes[order].astype(np.float64), records.labels[order]
    limits = boxes[:, 0] + (boxes[:, 2] - boxes[:, 0]) * (1 - SAME_OBJECT) * _SLACK
    partners = np.full((2, len(records.labels)), -1, np.int64)
    ious = np.zeros((2, len(records.labels)), np.float32)
    active, step = np.arange(len(order)), 0
    while len(active):
        step += 1
        active = active[active + step < len(order)]
        active = active[(image[active + step] == image[active]) & (boxes[active + step, 0] <= limits[active])]
        iou = _paired_iou(boxes[active], boxes[active + step])
        near = np.flatnonzero(iou > SAME_OBJECT)
        one, other = active[near], active[near] + step
        kind = (labels[one] != labels[other]).astype(np.int64)
        later, earlier = np.maximum(order[one], order[other]), np.minimum(order[one], order[other])
        partners[kind, later], ious[kind, later] = earlier, iou[near]
    same, conflict = (_repeats(partners[kind], ious[kind]) for kind in range(2))
    return same, conflict


def _repeats(partners: Integers, ious: Floats) -> Repeats:
    boxes = np.flatnonzero(partners >= 0)
    return Repeats(boxes, partners[boxes], ious[boxes])


def _paired_iou(one: Doubles, other: Doubles) -> Doubles:
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    common = sides.clip(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (one, other)]
    result: Doubles = common / np.maximum(areas[0] + areas[1] - common, 1e-12)
    return result
