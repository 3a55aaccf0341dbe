"""COCO's matching of detections with objects, at every IoU threshold and area range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Floats, Integers, columns

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""COCO's IoU thresholds, in pycocotools' floating point."""
Ranges = tuple[tuple[float, float], ...]

COCO_RANGES: Ranges = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
"""COCO's area ranges: all, small, medium and large objects, bounds included."""
MAX_DETECTIONS = 100
"""Largest number of detections of an image and class that COCO counts."""

Flags = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Objects:
    """The annotations of the ground truth as columns.

    Attributes:
        image: ``(M,)`` index into the sorted image ids.
        label: ``(M,)`` index into the sorted category ids.
        boxes: ``(M, 4)`` ``x y width height``.
        area: ``(M,)`` area as annotated.
        crowd: ``(M,)`` whether each is a crowd, which is not counted.
    """

    image: Integers
    label: Integers
    boxes: Floats
    area: Floats
    crowd: Flags

    @classmethod
    def of(cls, truth: GroundTruth) -> Objects:
        """Return the columns of a ground truth's annotations."""
        rows = truth.annotations
        image, category = (np.array([row[key] for row in rows], np.int64) for key in ("image_id", "category_id"))
        boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
        area, crowd = np.array([row["area"] for row in rows], np.float64), np.array([row["iscrowd"] for row in rows], np.bool_)
        return cls(
            np.searchsorted(sorted_ids(truth.image_ids), image), np.searchsorted(sorted_ids(truth.categories), category), boxes, area, crowd
        )


def sorted_ids(ids: Any) -> Integers:
    """Return ids as a sorted array, the order in which pycocotools goes through images and categories."""
    return np.sort(np.array(list(ids), np.int64))


@dataclass(frozen=True)
class Matching:
    """The matching of all detections of a ground truth.

    Detections are in the order of classes, images and falling scores, without those beyond the 100th of an image and class.

    Attributes:
        truth: The ground truth.
        objects: Its objects.
        row: ``(N,)`` row of each detection in the results.
        image: ``(N,)`` index into the sorted image ids.
        label: ``(N,)`` index into the sorted category ids.
        boxes: ``(N, 4)`` ``x y width height``.
        scores: ``(N,)``.
        rank: ``(N,)`` number of better detections of the image and class.
        correct: ``(A, N)`` bits of the IoU thresholds at which the detection is correct, for each area range.
        ignored: ``(A, N)`` bits of the IoU thresholds at which the detection is neither correct nor wrong.
        target: ``(N,)`` row of the matched object at the first threshold and range, or -1; it may be a crowd.
        iou: ``(N,)`` IoU with that object, or 0.
        dropped: Rows of the detections beyond the 100th of an image and class.
    """

    truth: GroundTruth
    objects: Objects
    row: Integers
    image: Integers
    label: Integers
    boxes: Floats
    scores: Floats
    rank: Integers
    correct: Bits
    ignored: Bits
    target: Integers
    iou: Floats
    dropped: Integers

    @property
    def images(self) -> int:
        """Number of images of the ground truth."""
        return len(self.truth.image_ids)


def match(
    truth: GroundTruth, results: Any, ranges: tuple[tuple[float, float], ...] = COCO_RANGES[:1], thresholds: Any = (0.5,)
) -> Matching:
    """Match checked results with the ground truth as pycocotools does.

    Args:
        truth: The ground truth.
        results: Rows, or an ``(N, 7)`` array of image id, x, y, width, height, score, category id.
        ranges: Area ranges; only objects inside count, and unmatched detections outside are ignored.
        thresholds: IoU thresholds, at most 16.
    """
    from detkit.evaluation.analysis.kernels.matching import match_all

    objects = Objects.of(truth)
    order = _by_group(objects.image, objects.label, len(truth.image_ids))
    row, image, label, boxes, scores, rank, dropped = _sorted_detections(truth, results)
    groups = group_ranges(_keys(image, label, len(truth.image_ids)), _keys(objects.image, objects.label, len(truth.image_ids))[order])
    shape = len(ranges), len(row)
    correct, ignored = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    target, iou = np.full(len(row), -1, np.int64), np.zeros(len(row))
    truth_columns = np.ascontiguousarray(objects.boxes[order]), objects.crowd[order], objects.area[order]
    limits, levels = np.array(ranges, np.float64), np.array(thresholds, np.float64)
    match_all(groups, boxes, *truth_columns, limits, levels, (correct, ignored, target, iou))
    target[target >= 0] = order[target[target >= 0]]
    return Matching(truth, objects, row, image, label, boxes, scores, rank, correct, ignored, target, iou, dropped)


def _sorted_detections(truth: GroundTruth, results: Any) -> tuple[Integers, Integers, Integers, Floats, Floats, Integers, Integers]:
    image_ids, category_ids, boxes, scores = columns(results)
    image = np.searchsorted(sorted_ids(truth.image_ids), image_ids)
    label = np.searchsorted(sorted_ids(truth.categories), category_ids)
    order = np.lexsort((-scores, image, label))  # stable: equal scores keep the order of the results
    keys = _keys(image[order], label[order], len(truth.image_ids))
    first = np.searchsorted(keys, keys, "left")
    rank = np.arange(len(keys)) - first
    kept = order[rank < MAX_DETECTIONS]
    dropped = np.sort(order[rank >= MAX_DETECTIONS])
    return kept, image[kept], label[kept], np.ascontiguousarray(boxes[kept]), scores[kept], rank[rank < MAX_DETECTIONS], dropped


def _keys(image: Integers, label: Integers, images: int) -> Integers:
    return label * images + image


def _by_group(image: Integers, label: Integers, images: int) -> Integers:
    return np.argsort(_keys(image, label, images), kind="stable")


def group_ranges(detection_keys: Integers, object_keys: Integers) -> Integers:
    """Return the ranges ``(G, 4)`` of detections and of objects, both sorted by key, of each key with detections."""
    keys, start = np.unique(detection_keys, return_index=True)
    stop = np.append(start[1:], len(detection_keys))[: len(start)]
    return np.stack([start, stop, np.searchsorted(object_keys, keys, "left"), np.searchsorted(object_keys, keys, "right")], 1).astype(
        np.int64
    )
