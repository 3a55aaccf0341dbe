"""Pascal VOC's average precision (VOC development kit, ``VOCevaldet.m``).

Boxes here are continuous: width is ``x2 - x1``. The kit counts inclusive pixels, ``xmax - xmin + 1``, and a box of its files
``xmin ymin xmax ymax`` covers ``xmin - 1, ymin - 1, xmax, ymax`` in continuous coordinates, which is how the VOC reader takes it: widths,
intersections and so the overlaps are the kit's own. No ``+ 1`` is left to add.
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

Rule = Literal["11-point", "all-point"]
RULES: tuple[Rule, ...] = ("11-point", "all-point")

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def evaluate_voc(
    ground_truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    rule: Rule = "all-point",
    overlaps: Sequence[float] = (0.5,),
    name: str = "ground truth",
) -> VocNumbers:
    """Pascal VOC's average precision of each class, and its mean over the classes that the ground truth has.

    Detections are taken best first (ties in the order given); each looks at the object of its class and image that it overlaps
    most. At or above the threshold it is right if nothing took that object before, wrong if something did, and does not count at
    all if the object is difficult or a crowd.

    Args:
        ground_truth: A COCO dict whose annotations may have ``difficult``.
        results: COCO results.
        rule: ``"11-point"`` (VOC 2007: mean of the precision at recalls 0, .1, ... 1) or ``"all-point"`` (VOC 2010 and later: area
            under the curve).
        overlaps: IoU thresholds in (0, 1]; VOC's is .5.
        name: What messages call the ground truth.

    Raises:
        ValueError: the ground truth or the results are not of their form, or a threshold or the rule is none.
    """
    truth = GroundTruth.of(ground_truth, name)
    return voc_numbers(truth, check_results(results, truth), rule, overlaps)


def voc_numbers(truth: GroundTruth, results: Any, rule: Rule, overlaps: Sequence[float]) -> VocNumbers:
    """Evaluate checked results (rows, or an ``(N, 7)`` array of image id, x, y, width, height, score, category id)."""
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r}: expected {' or '.join(RULES)}")
    if not overlaps or not all(0 < overlap <= 1 for overlap in overlaps):
        raise ValueError(f"overlaps: expected one or more numbers above 0 and at most 1, got {tuple(overlaps)}")
    tables = _Tables.of(truth, results)
    classes = tuple(_class_numbers(category_id, class_name, tables, rule, overlaps) for category_id, class_name in truth.categories.items())
    known = np.array([row.ap for row in classes if row.boxes]).reshape(-1, len(overlaps))
    values = known.mean(0).tolist() if len(known) else [float("nan")] * len(overlaps)
    ignored = int(tables.truth_ignored.sum())
    counts = Counts(len(truth.image_ids), len(tables.truth_ignored) - ignored, ignored, len(tables.scores), truth.left_out)
    return VocNumbers(rule, tuple(overlaps), tuple(values), classes, counts)


@dataclass(frozen=True)
class _Tables:
    """Columns of the objects and of the detections; boxes are ``x1 y1 x2 y2``."""

    truth_image: Integers
    truth_class: Integers
    truth_boxes: Floats
    truth_ignored: Flags
    image: Integers
    label: Integers
    boxes: Floats
    scores: Floats

    @classmethod
    def of(cls, truth: GroundTruth, results: Any) -> _Tables:
        rows = truth.annotations
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
        )


def corners(boxes: Floats) -> Floats:
    """``x y width height`` as ``x1 y1 x2 y2``."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _class_numbers(category_id: int, class_name: str, tables: _Tables, rule: Rule, overlaps: Sequence[float]) -> VocClass:
    mine, theirs = np.flatnonzero(tables.truth_class == category_id), np.flatnonzero(tables.label == category_id)
    mine = mine[np.argsort(tables.truth_image[mine], kind="stable")]
    theirs = theirs[np.argsort(-tables.scores[theirs], kind="stable")]
    ignored = tables.truth_ignored[mine]
    boxes = int((~ignored).sum())
    if not boxes:
        return VocClass(class_name, category_id, 0, len(theirs), (float("nan"),) * len(overlaps))
    nearest, overlap = _nearest(tables, mine, theirs)
    ap = []
    for min_overlap in overlaps:
        right, counted = _judge(nearest, overlap >= min_overlap, ignored)
        ap.append(_average_precision(right[counted], boxes, rule))
    return VocClass(class_name, category_id, boxes, len(theirs), tuple(ap))


def _nearest(tables: _Tables, mine: Integers, theirs: Integers) -> tuple[Integers, Floats]:
    """For each detection the first of the objects (``mine``, sorted by image) that it overlaps most, and by how much; 0 if none."""
    images = tables.truth_image[mine]
    first = np.searchsorted(images, tables.image[theirs], "left")
    many = np.searchsorted(images, tables.image[theirs], "right") - first
    detection = np.repeat(np.arange(len(theirs)), many)
    place = np.arange(len(detection)) - np.repeat(np.cumsum(many) - many, many) + np.repeat(first, many)
    pairs = pair_iou(tables.boxes[theirs[detection]], tables.truth_boxes[mine[place]])
    best = np.zeros(len(theirs))
    np.maximum.at(best, detection, pairs)
    is_best = pairs == best[detection]
    which, at = np.unique(detection[is_best], return_index=True)
    nearest = np.zeros(len(theirs), np.int64)
    nearest[which] = place[is_best][at]
    return nearest, best


def pair_iou(boxes: Floats, others: Floats) -> Floats:
    """IoU of each pair of rows, ``x1 y1 x2 y2``; 0 for boxes without area."""
    sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
    inside = np.prod(np.maximum(sides, 0), axis=1)
    union = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(others[:, 2:] - others[:, :2], axis=1) - inside
    found: Floats = np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
    return found


def _judge(nearest: Integers, near: Flags, ignored: Flags) -> tuple[Flags, Flags]:
    """Which detections, best first, are right, and which count at all."""
    right = np.zeros(len(nearest), np.bool_)
    reaching = np.flatnonzero(near)
    _, first = np.unique(nearest[reaching], return_index=True)
    right[reaching[first]] = True
    counted = ~(near & ignored[nearest])
    return right & counted, counted


def _average_precision(right: Flags, boxes: int, rule: Rule) -> float:
    found = np.cumsum(right)
    recall = found / boxes
    precision = found / np.arange(1, len(right) + 1)
    if rule == "11-point":  # the kit's own recalls: multiples of .1 in floating point
        return float(sum(precision[recall >= at].max(initial=0.0) for at in np.linspace(0, 1, 11)) / 11)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)
    return float((envelope * steps).sum())
