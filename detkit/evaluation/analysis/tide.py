"""TIDE's errors: how many there are of each type, and the AP50 that each type costs (Bolya et al., ECCV 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.evaluation.analysis.matches import MIN_IOU
from detkit.evaluation.analysis.matching import Flags, Objects, group_ranges, sorted_ids
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Floats, Integers, columns

ERRORS: dict[str, str] = {
    "Cls": "well localized, wrong class",
    "Loc": "right class, but IoU below .5",
    "Both": "wrong class and IoU below .5",
    "Dupe": "duplicate detection of an object",
    "Bkg": "background detected as an object",
    "Miss": "object without a detection",
}
"""The error types of TIDE, which together cover all errors."""

_BACKGROUND_IOU = 0.1
_MAX_DETECTIONS = 100
_CLASS, _LOCATION, _MISS = 0, 1, 5
_RECALLS = np.array([number / 100 for number in range(101)])


def tide_errors(truth: GroundTruth, results: Any) -> dict[str, tuple[int, float]]:
    """Return the number of errors of each type, and the AP50 that fixing all of them would add.

    Counts and AP are those of the package ``tidecv``: 100 detections of an image are counted, classes with detections but no objects count
    as AP 0, and detections in crowds are errors that cost nothing. Beyond ``tidecv``, detections in regions that are ignored for every
    class, or because they are difficult, are no errors at all.

    Args:
        truth: The ground truth.
        results: Checked results: rows, or an ``(N, 7)`` array as in :func:`~detkit.evaluation.coco_curves.curves`.
    """
    rows = _Rows.of(truth, results)
    ap = rows.ap_without(None)
    return {name: (rows.count(number), max(rows.ap_without(number) - ap, 0.0)) for number, name in enumerate(ERRORS)}


@dataclass(frozen=True)
class _Rows:
    """Detections by image and best first, with their kinds of error.

    Attributes:
        label: ``(N,)`` class of each detection.
        scores: ``(N,)``.
        kind: ``(N,)`` position of its error in :data:`ERRORS`; negative if it is none.
        ignored: ``(N,)`` whether it is in a crowd.
        fixed_label: ``(N,)`` class of the object that it would detect if its class or location were fixed; -1 if it would be dropped.
        objects: ``(K,)`` number of objects of each class.
        missed: ``(K,)`` number of objects that no fixed error would detect.
    """

    label: Integers
    scores: Floats
    kind: Integers
    ignored: Flags
    fixed_label: Integers
    objects: Integers
    missed: Integers

    @classmethod
    def of(cls, truth: GroundTruth, results: Any) -> _Rows:
        from detkit.evaluation.analysis.kernels.tide import classify

        image, label, boxes, scores = _best_of_images(truth, results)
        objects = Objects.of(truth)
        classes = len(truth.categories)
        positions = _positions(truth)[objects.image]
        order = np.argsort(positions, kind="stable")
        objects = Objects(positions[order], *(getattr(objects, name)[order] for name in ("label", "boxes", "area", "crowd")))
        kind, about, ignored = np.zeros(len(image), np.int64), np.full(len(image), -1, np.int64), np.zeros(len(image), np.bool_)
        used = np.zeros(len(order), np.bool_)
        limits = (MIN_IOU, _BACKGROUND_IOU)
        groups = group_ranges(image, objects.image)
        crowd = objects.crowd.astype(np.int64) + _without_error(truth)[order]
        classify(groups, boxes, label, objects.boxes, objects.label, crowd, limits, (kind, about, ignored, used))
        fixable = np.flatnonzero((kind == _CLASS) | (kind == _LOCATION))
        fixable = fixable[~used[about[fixable]]]
        best = fixable[np.lexsort((-scores[fixable], about[fixable]))]
        best = best[np.append(True, about[best][1:] != about[best][:-1])[: len(best)]]
        fixed_label = np.full(len(image), -1, np.int64)
        fixed_label[best] = objects.label[about[best]]
        missed = ~used & ~objects.crowd
        missed[about[best]] = False
        counts = (np.bincount(objects.label[flags], minlength=classes) for flags in (~objects.crowd, missed))
        return cls(label, scores, kind, ignored, fixed_label, *counts)

    def count(self, number: int) -> int:
        """Return the number of errors of a type."""
        return int(self.missed.sum() if number == _MISS else (self.kind == number).sum())

    def ap_without(self, number: int | None) -> float:
        """Return the mean AP50 after all errors of a type are fixed; None fixes nothing."""
        counted, label, correct = ~self.ignored, self.label, self.kind < 0
        order = np.arange(len(label))
        if number is not None:
            fixed = self.kind == number
            counted = counted & ~fixed | fixed & (self.fixed_label >= 0)
            label, correct = np.where(fixed & (self.fixed_label >= 0), self.fixed_label, label), correct | fixed
            order = np.argsort(self.kind < 0, kind="stable")  # tidecv puts what was wrong before what was correct with the same score
        order = order[counted[order]]
        objects = self.objects - self.missed if number == _MISS else self.objects
        return _mean_ap(label[order], self.scores[order], correct[order], objects)


def _without_error(truth: GroundTruth) -> Flags:
    """Return which annotations are regions in which a detection is no error, ``(M,)``."""
    return np.array([bool(row["iscrowd"] and ("region" in row or row.get("difficult"))) for row in truth.annotations], np.bool_)


def _mean_ap(label: Integers, scores: Floats, correct: Flags, objects: Integers) -> float:
    """Return the mean AP over the classes that have objects or detections."""
    from detkit.evaluation.analysis.kernels.accumulation import accumulate

    order = np.lexsort((-scores, label))
    zeros = np.zeros(len(order), np.int32)
    entries = zeros, np.ascontiguousarray(correct[order], np.int32), zeros, zeros
    starts = np.searchsorted(label[order], np.arange(len(objects) + 1))
    object_starts = np.append(0, np.cumsum(objects))
    values = np.zeros((len(objects), 4, 1, 1))
    accumulate(starts, entries, object_starts, np.zeros(object_starts[-1], np.int32), np.ones((1, 1)), _RECALLS, values)
    present = (objects > 0) | (np.diff(starts) > 0)
    return float(np.nan_to_num(values[present, 0, 0, 0]).mean()) if present.any() else 0.0


def _best_of_images(truth: GroundTruth, results: Any) -> tuple[Integers, Integers, Floats, Floats]:
    """Return the image positions, labels, boxes and scores of the 100 best detections of each image, by image and best first."""
    image_ids, category_ids, boxes, scores = columns(results)
    image = _positions(truth)[np.searchsorted(sorted_ids(truth.image_ids), image_ids)]
    label = np.searchsorted(sorted_ids(truth.categories), category_ids)
    order = np.lexsort((-scores, image))
    rank = np.arange(len(order)) - np.searchsorted(image[order], image[order], "left")
    order = order[rank < _MAX_DETECTIONS]
    return image[order], label[order], np.ascontiguousarray(boxes[order]), scores[order]


def _positions(truth: GroundTruth) -> Integers:
    """Return the position in the ground truth's list of each image, in the order of their ids."""
    return np.argsort(np.array(truth.image_ids, np.int64), kind="stable")
