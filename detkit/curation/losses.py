"""Values of a data set that a label format cannot hold, counted by what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from detkit.arrays import Flags, Floats, Integers
from detkit.curation.parts import LabeledParts, box_counts
from detkit.data.ignore import IGNORE_CLASS
from detkit.data.records import Records
from detkit.data.writers.coco import kept_category_ids
from detkit.data.writers.outlines import bounds, mask_of, polygons_of
from detkit.data.writers.protocol import Holds, WriteOptions
from detkit.structures import Segmentations
from detkit.structures.run_lengths import mask_array

CROWDS = f"crowds, written as boxes of the class {IGNORE_CLASS!r}, which detkit ignores"
CROWDS_AS_DIFFICULT = "crowds, written as difficult objects"
DIFFICULT = "flags of difficult objects"
POLYGONS = "polygons"
POLYGONS_OR_BOXES = "polygons, which --polygons writes instead of the boxes"
MASKS = "masks (run lengths)"
MASKS_OR_BOXES = "masks (run lengths), which --polygons writes instead of the boxes"
PIECES = "objects with several polygons, which are joined into one"
MOVED_BOXES = "boxes that differ from those around their outlines, which are written instead"
AREAS = "areas that differ from those of the boxes"
IMAGE_IDS = "ids of images"
CATEGORY_IDS = "ids of classes"
EMPTY_IMAGES = "images without objects"
UNUSED_CLASSES = "classes without objects"
CLASS_ORDER = "places of classes in their order"
OUTER_SPACES = "classes with spaces around their names"

_MOVED = 1e-3
"""Pixels by which a box may differ from the one around its outline."""


def count_losses(data: LabeledParts, holds: Holds, options: WriteOptions, image_ids: int) -> Mapping[str, int]:
    """Return the number of values that a format cannot hold, by what they are; only numbers above 0.

    Args:
        data: The data set.
        holds: What the format can hold.
        options: Whether outlines are written instead of boxes.
        image_ids: Number of ids of images that are lost.
    """
    counts = Counter[str]()
    for _, part in data:
        counts.update(_row_losses(part.data.records, holds))
        counts.update(_outline_losses(part.data.records, holds, options))
        if not holds.empty_images:
            counts[EMPTY_IMAGES] += int((part.data.records.lengths == 0).sum())
    counts[IMAGE_IDS] = image_ids
    counts.update(_class_losses(data, holds))
    return {text: count for text, count in counts.items() if count}


def _row_losses(records: Records, holds: Holds) -> dict[str, int]:
    losses = {}
    if not holds.crowds:
        losses[CROWDS_AS_DIFFICULT if holds.difficult else CROWDS] = int((records.is_crowd & ~records.is_ignore).sum())
    if not holds.difficult:
        losses[DIFFICULT] = int(records.is_difficult.sum())
    if not holds.areas:
        sides = (records.boxes[:, 2:] - records.boxes[:, :2]).astype(np.float64)
        losses[AREAS] = int((~np.isclose(records.areas, sides.prod(1), rtol=1e-3, atol=0.01)).sum())
    return losses


def _outline_losses(records: Records, holds: Holds, options: WriteOptions) -> dict[str, int]:
    segmentations = records.segmentations
    if segmentations is None or (holds.polygons, holds.masks) == ("in_addition", "in_addition"):
        return {}
    masks = segmentations.is_mask
    polygons: Flags = segmentations.present & ~masks
    traces = holds.masks == "none"  # run lengths are then written as polygons, in formats that have these
    losses = {}
    for kind, rows, lost, avoidable in (
        (holds.polygons, polygons, POLYGONS, POLYGONS_OR_BOXES),
        (holds.polygons if traces else holds.masks, masks, MASKS, MASKS_OR_BOXES),
    ):
        if kind == "none" or (kind == "instead" and not options.polygons):
            losses[lost if kind == "none" else avoidable] = int(rows.sum())
    if holds.polygons == "instead" and options.polygons:
        losses |= _written_outlines(records, np.flatnonzero(polygons | masks), traces)
    return losses


def _written_outlines(records: Records, rows: Integers, traces_masks: bool) -> dict[str, int]:
    """Return how many objects have several polygons, and how many boxes are not those around the outlines that replace them."""
    pieces = moved = 0
    for row in rows.tolist():
        polygons = polygons_of(records.segmentations, row, traces_masks=traces_masks)
        pieces += len(polygons) > 1
        box = bounds(np.concatenate(polygons)) if polygons else _mask_box(records.segmentations, row)
        moved += box is not None and bool(np.abs(box - records.boxes[row]).max() > _MOVED)
    return {PIECES: pieces, MOVED_BOXES: moved}


def _mask_box(segmentations: Segmentations | None, row: int) -> Floats | None:
    """Return the box around the pixels of a mask, ``(4,)``; None if there are none."""
    mask = mask_of(segmentations, row)
    pixels = np.zeros((0, 2)) if mask is None else np.argwhere(mask_array(mask))
    if not len(pixels):
        return None
    (top, left), (bottom, right) = pixels.min(0), pixels.max(0) + 1
    return np.array([left, top, right, bottom], np.float32)


def _class_losses(data: LabeledParts, holds: Holds) -> dict[str, int]:
    names, ids = data.class_names, data.category_ids
    losses = {}
    if kept_category_ids(ids) != ids or (not holds.category_ids and not _are_consecutive(ids)):
        losses[CATEGORY_IDS] = len(ids)
    if not holds.class_list:
        used = np.sum([box_counts(part) for _, part in data], axis=0)
        losses[UNUSED_CLASSES] = int((used == 0).sum())
        kept = [name for name, count in zip(names, used.tolist(), strict=True) if count]
        losses[CLASS_ORDER] = sum(name != other for name, other in zip(kept, sorted(kept), strict=True))
    if not holds.outer_spaces:
        losses[OUTER_SPACES] = sum(name != name.strip() for name in names)
    return losses


def _are_consecutive(ids: tuple[int, ...]) -> bool:
    """Return whether ids only count the classes, from any number on, as formats without ids do."""
    return list(ids) == list(range(ids[0], ids[0] + len(ids))) if ids else True
