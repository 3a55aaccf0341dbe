"""What each wrong detection did wrong, and which objects no detection accounts for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from detkit.evaluation.analysis.cases import Kind
from detkit.evaluation.analysis.matches import MIN_IOU, Matches
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Floats, Integers
from detkit.evaluation.voc import corners
from detkit.ops.box_arrays import paired_iou

NEAR_IOU = 0.1
"""IoU from which a detection is at an object, as in TIDE."""
_CHUNK = 50_000

Candidate = tuple[int, float, bool]
"""Row of an object, IoU, and whether it is of the class of the detection."""


@dataclass(frozen=True)
class Judgment:
    """Verdict on a detection: its kind, the object that it refers to (or -1), their IoU, and whether it accounts for that object."""

    kind: Kind
    target: int
    iou: float
    accounts: bool


def judge(truth: GroundTruth, matches: Matches, score: float) -> dict[int, Judgment]:
    """Judge the detections with at least a score, best first; the keys are positions in ``matches``.

    A wrong detection is, by the first of these that applies: of the wrong class, if it overlaps an undetected object of another class (IoU
    of at least .5), which it then accounts for; a duplicate, if it overlaps a detected object of its class; of the wrong class, if it
    overlaps another object of another class; poorly localized, if its IoU with an object of its class is at least .1; else a false alarm.
    """
    kept = np.flatnonzero(matches.scores >= score)
    kept = kept[np.argsort(-matches.scores[kept], kind="stable")]
    detected = set(matches.target[kept][matches.correct[kept]].tolist())
    candidates = near_objects(truth, matches, kept[~matches.correct[kept]])
    judgments: dict[int, Judgment] = {}
    accounted = set(detected)
    for index in kept.tolist():
        if matches.target[index] >= 0:
            judgments[index] = Judgment("correct", int(matches.target[index]), float(matches.iou[index]), True)
        else:
            judgments[index] = judgment = _judge_wrong(candidates.get(index, []), accounted)
            accounted |= {judgment.target} if judgment.accounts else set()
    return judgments


def _judge_wrong(candidates: list[Candidate], accounted: set[int]) -> Judgment:
    others = [(iou, row) for row, iou, same in candidates if not same and iou >= MIN_IOU]
    free = [pair for pair in others if pair[1] not in accounted]
    own = [(iou, row) for row, iou, same in candidates if same]
    if free:
        iou, row = max(free)
        return Judgment("wrong class", row, iou, True)
    if own and max(own)[0] >= MIN_IOU:
        iou, row = max(own)
        return Judgment("duplicate", row, iou, False)
    if others:
        iou, row = max(others)
        return Judgment("wrong class", row, iou, False)
    if own:
        iou, row = max(own, key=lambda pair: (pair[1] not in accounted, pair))
        return Judgment("poor localization", row, iou, False)
    return Judgment("false alarm", -1, 0.0, False)


def near_objects(truth: GroundTruth, matches: Matches, detections: Integers) -> dict[int, list[Candidate]]:
    """Return the objects, without crowds, that overlap each of some detections by an IoU of at least .1."""
    rows = np.array([row for row, annotation in enumerate(truth.annotations) if not annotation["iscrowd"]], np.int64)
    image = np.array([truth.annotations[row]["image_id"] for row in rows], np.int64)
    order = np.argsort(image, kind="stable")
    rows, image = rows[order], image[order]
    boxes = corners(np.array([truth.annotations[row]["bbox"] for row in rows], np.float64).reshape(-1, 4))
    category = np.array([truth.annotations[row]["category_id"] for row in rows], np.int64)
    candidates: dict[int, list[Candidate]] = {}
    for start in range(0, len(detections), _CHUNK):
        chunk = detections[start : start + _CHUNK]
        for position, index, iou in _near_pairs(matches.image[chunk], matches.boxes[chunk], image, boxes):
            detection = int(chunk[position])
            same = bool(category[index] == matches.category[detection])
            candidates.setdefault(detection, []).append((int(rows[index]), iou, same))
    return candidates


def _near_pairs(image: Integers, boxes: Floats, object_image: Integers, object_boxes: Floats) -> Iterator[tuple[int, int, float]]:
    """Yield the pairs of detections and objects (sorted by image) of an image that overlap, with their IoU."""
    first = np.searchsorted(object_image, image, "left")
    counts = np.searchsorted(object_image, image, "right") - first
    detection = np.repeat(np.arange(len(image)), counts)
    index = np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    ious = paired_iou(boxes[detection], object_boxes[index])
    near = ious >= NEAR_IOU
    return zip(detection[near].tolist(), index[near].tolist(), ious[near].tolist(), strict=True)
