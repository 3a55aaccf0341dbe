"""Pascal VOC average precision (VOC development kit, ``VOCevaldet.m``).

Boxes are continuous here: the width is ``x2 - x1``. The kit counts inclusive pixels, ``xmax - xmin + 1``. A box ``xmin ymin xmax ymax`` of
its files covers ``xmin - 1, ymin - 1, xmax, ymax`` in continuous coordinates, and the VOC reader converts it so. Widths, intersections and
therefore IoUs equal those of the kit, without any ``+ 1`` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.numbers import Counts, VocClass, VocNumbers
from detkit.evaluation.results import check_results, columns
from detkit.ops.box_arrays import covered_fraction, paired_iou

Rule = Literal["11-point", "all-point"]
RULES: tuple[Rule, ...] = ("11-point", "all-point")

_MIN_COVERED = 0.5
"""Fraction of its area from which a detection is inside a region to ignore, as for COCO's crowds at an IoU of .5."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def evaluate_voc(
    ground_truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    rule: Rule = "all-point",
    iou_thresholds: Sequence[float] = (0.5,),
    name: str = "ground truth",
) -> VocNumbers:
    """Compute the Pascal VOC average precision of each class, and the mean over the classes with ground truth.

    Detections are processed best first (ties in the order given). Each is compared with the object of its class and image that it
    overlaps most. At or above the IoU threshold it is correct if the object is still unmatched, wrong if the object is already matched,
    and ignored if the object is difficult or a crowd. A detection that is not correct and is at least half inside a region to ignore
    for every class, which a :class:`GroundTruth` of a data set can have, is ignored too.

    Args:
        ground_truth: A COCO dict whose annotations may have ``difficult``.
        results: COCO results, as in :func:`~detkit.evaluation.evaluate_coco`.
        rule: ``"11-point"`` (VOC 2007: mean of the precision at recalls 0, .1, ... 1) or ``"all-point"`` (VOC 2010 and later: area
            under the precision-recall curve).
        iou_thresholds: IoU thresholds in (0, 1]; VOC uses .5.
        name: Name of the ground truth in error messages.

    Raises:
        ValueError: If the ground truth or the results have the wrong format, or a threshold or the rule is invalid.
    """
    truth = GroundTruth.of(ground_truth, name)
    return voc_numbers(truth, check_results(results, truth), rule, iou_thresholds)


def voc_numbers(truth: GroundTruth, results: Any, rule: Rule, iou_thresholds: Sequence[float]) -> VocNumbers:
    """Evaluate checked results: rows, or an ``(N, 7)`` array of image id, x, y, width, height, score, category id."""
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r}: expected {' or '.join(RULES)}")
    if not iou_thresholds or not all(0 < threshold <= 1 for threshold in iou_thresholds):
        raise ValueError(f"iou_thresholds: expected one or more numbers above 0 and at most 1, got {tuple(iou_thresholds)}")
    tables = _Tables.of(truth, results)
    classes = tuple(
        _class_numbers(category_id, class_name, tables, rule, iou_thresholds) for category_id, class_name in truth.categories.items()
    )
    known = np.array([row.ap for row in classes if row.boxes]).reshape(-1, len(iou_thresholds))
    values = known.mean(0).tolist() if len(known) else [float("nan")] * len(iou_thresholds)
    ignored = int(tables.truth_ignored.sum())
    objects = len(tables.truth_ignored) - ignored
    counts = Counts(len(truth.image_ids), objects, ignored + tables.regions, len(tables.scores), truth.left_out)
    return VocNumbers(rule, tuple(iou_thresholds), tuple(values), classes, counts)


@dataclass(frozen=True)
class _Tables:
    """Objects and detections as columns; boxes are ``x1 y1 x2 y2``.

    ``in_region`` says which detections are inside one of the ``regions`` that are to be ignored for every class.
    """

    truth_image: Integers
    truth_class: Integers
    truth_boxes: Floats
    truth_ignored: Flags
    image: Integers
    label: Integers
    boxes: Floats
    scores: Floats
    regions: int
    in_region: Flags

    @classmethod
    def of(cls, truth: GroundTruth, results: Any) -> _Tables:
        rows = [row for row in truth.annotations if "region" not in row]
        regions = list({row["region"]: row for row in truth.annotations if "region" in row}.values())
        image, label, boxes, scores = columns(results)
        return cls(
            np.array([row["image_id"] for row in rows], np.int64),
            np.array([row["category_id"] for row in rows], np.int64),
            corners(np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)),
            np.array([bool(row["difficult"] or row["iscrowd"]) for row in rows], np.bool_),
            image,
            label,
            corners(boxes),
            scores,
            len(regions),
            _in_regions(regions, image, corners(boxes)),
        )


def _in_regions(regions: Sequence[Mapping[str, Any]], image: Integers, boxes: Floats) -> Flags:
    """Return which detections are mostly inside a region of their image."""
    regions = sorted(regions, key=lambda row: row["image_id"])
    areas = corners(np.array([row["bbox"] for row in regions], np.float64).reshape(-1, 4))
    detection, candidate = _pairs(np.array([row["image_id"] for row in regions], np.int64), image)
    inside = np.zeros(len(image), np.bool_)
    inside[detection[covered_fraction(boxes[detection], areas[candidate]) >= _MIN_COVERED]] = True
    return inside


def _pairs(objects: Integers, detections: Integers) -> tuple[Integers, Integers]:
    """Return the index of the detection and of the object of all pairs in one image, from their images; those of objects are sorted."""
    first = np.searchsorted(objects, detections, "left")
    counts = np.searchsorted(objects, detections, "right") - first
    detection = np.repeat(np.arange(len(detections)), counts)
    return detection, np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)


def corners(boxes: Floats) -> Floats:
    """Convert boxes from ``x y width height`` to ``x1 y1 x2 y2``."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _class_numbers(category_id: int, class_name: str, tables: _Tables, rule: Rule, iou_thresholds: Sequence[float]) -> VocClass:
    objects, detections = np.flatnonzero(tables.truth_class == category_id), np.flatnonzero(tables.label == category_id)
    objects = objects[np.argsort(tables.truth_image[objects], kind="stable")]
    detections = detections[np.argsort(-tables.scores[detections], kind="stable")]
    ignored = tables.truth_ignored[objects]
    boxes = int((~ignored).sum())
    if not boxes:
        return VocClass(class_name, category_id, 0, len(detections), (float("nan"),) * len(iou_thresholds))
    target, iou = _best_targets(tables, objects, detections)
    ap = []
    for threshold in iou_thresholds:
        correct, counted = _mark_correct(target, iou >= threshold, ignored)
        counted &= correct | ~tables.in_region[detections]
        ap.append(_average_precision(correct[counted], boxes, rule))
    return VocClass(class_name, category_id, boxes, len(detections), tuple(ap))


def _best_targets(tables: _Tables, objects: Integers, detections: Integers) -> tuple[Integers, Floats]:
    """Return for each detection the index of the object (sorted by image) with the highest IoU, the first of ties, and that IoU or 0."""
    detection, candidate = _pairs(tables.truth_image[objects], tables.image[detections])
    pairs = paired_iou(tables.boxes[detections[detection]], tables.truth_boxes[objects[candidate]])
    best = np.zeros(len(detections))
    np.maximum.at(best, detection, pairs)
    is_best = pairs == best[detection]
    matched, first_best = np.unique(detection[is_best], return_index=True)
    target = np.zeros(len(detections), np.int64)
    target[matched] = candidate[is_best][first_best]
    return target, best


def _mark_correct(target: Integers, overlaps: Flags, ignored: Flags) -> tuple[Flags, Flags]:
    """Return which detections (best first) are correct, and which are counted at all."""
    correct = np.zeros(len(target), np.bool_)
    candidates = np.flatnonzero(overlaps)
    _, first = np.unique(target[candidates], return_index=True)
    correct[candidates[first]] = True
    counted = ~(overlaps & ignored[target])
    return correct & counted, counted


def _average_precision(correct: Flags, boxes: int, rule: Rule) -> float:
    true_positives = np.cumsum(correct)
    recall = true_positives / boxes
    precision = true_positives / np.arange(1, len(correct) + 1)
    if rule == "11-point":  # the recalls of the kit: multiples of .1 in floating point
        return float(sum(precision[recall >= level].max(initial=0.0) for level in np.linspace(0, 1, 11)) / 11)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)
    return float((envelope * steps).sum())
