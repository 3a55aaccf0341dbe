"""Error analysis of a detector: best score threshold of each class, TIDE errors, class confusions, images with most errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detkit.checkpoint.operating_points import ALL, OperatingPoint
from detkit.evaluation.coco_curves import hotcoco_evaluation
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Floats, Integers, columns
from detkit.evaluation.voc import corners
from detkit.ops.box_arrays import paired_iou

MIN_IOU = 0.5
"""IoU from which a detection is correct, used throughout the error analysis."""

ERRORS: dict[str, str] = {
    "Cls": "well localized, wrong class",
    "Loc": "right class, but IoU below .5",
    "Both": "wrong class and IoU below .5",
    "Dupe": "duplicate detection of an object",
    "Bkg": "background detected as an object",
    "Miss": "object without a detection",
}
"""The error types of TIDE (Bolya et al., ECCV 2020), which together cover all errors."""


@dataclass(frozen=True)
class ImageErrors:
    """Numbers of correct detections, wrong detections and missed objects of an image."""

    image: str
    right: int
    wrong: int
    missed: int


@dataclass(frozen=True)
class Details:
    """Error analysis at IoU .5, with COCO's matching.

    Attributes:
        operating_points: Score threshold with the best F1 of each class; the first row is for all classes together.
        errors: Number of errors of each type among all detections, and the AP50 that they cost.
        confusions: Objects detected as another class, at the first row's score: (true class, detected class, count), most frequent first.
        worst: The images with most errors, at the first row's score.
    """

    operating_points: tuple[OperatingPoint, ...]
    errors: dict[str, tuple[int, float]]
    confusions: tuple[tuple[str, str, int], ...]
    worst: tuple[ImageErrors, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict, with None for NaN."""
        rows = [{key: None if value != value else value for key, value in asdict(point).items()} for point in self.operating_points]
        rows = [{key: value for key, value in row.items() if key != "evidence"} for row in rows]
        errors = {kind: {"count": count, "ap50": cost} for kind, (count, cost) in self.errors.items()}
        confusions = [{"truth": truth, "found": found, "count": count} for truth, found, count in self.confusions]
        return {"cuts": rows, "errors": errors, "confused": confusions, "worst": [asdict(row) for row in self.worst]}


def coco_details(truth: GroundTruth, results: Any, worst: int = 20) -> Details:
    """Analyze the errors of checked results.

    Args:
        truth: The ground truth.
        results: The detections: rows, or an ``(N, 7)`` array as in :func:`~detkit.evaluation.coco_curves.curves`.
        worst: Maximum number of images in ``Details.worst``.
    """
    evaluation = _evaluation(truth, results)
    matches = _Matches.of(evaluation.image_diagnostics(MIN_IOU, float("-inf")), truth, results)
    operating_points = _operating_points(truth, matches)
    score = operating_points[0].score if operating_points[0].score == operating_points[0].score else float("inf")
    tide = evaluation.tide_errors(MIN_IOU, 0.1)
    errors = {kind: (int(tide["counts"][kind]), float(tide["delta_ap"][kind])) for kind in ERRORS}
    return Details(tuple(operating_points), errors, _confusions(truth, matches, score), _worst(truth, matches, score, worst))


def operating_points(truth: GroundTruth, results: Any) -> tuple[OperatingPoint, ...]:
    """Return the score threshold with the best F1 of all classes together, then that of each class; see :func:`coco_details`."""
    diagnostics = _evaluation(truth, results).image_diagnostics(MIN_IOU, float("-inf"))
    return tuple(_operating_points(truth, _Matches.of(diagnostics, truth, results)))


def _evaluation(truth: GroundTruth, results: Any) -> Any:
    import hotcoco

    ground_truth = hotcoco.COCO(truth.to_dict())
    return hotcoco_evaluation(ground_truth, ground_truth.load_res(results))


@dataclass(frozen=True)
class _Matches:
    """Detections with their matched objects, without those in crowds or beyond the 100th of an image and class.

    Attributes:
        image: ``(N,)`` image ids.
        category: ``(N,)`` category ids.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2``.
        scores: ``(N,)``.
        target: ``(N,)`` row of the matched object in the ground truth, or -1.
    """

    image: Integers
    category: Integers
    boxes: Floats
    scores: Floats
    target: Integers

    @classmethod
    def of(cls, diagnostics: dict[str, Any], truth: GroundTruth, results: Any) -> _Matches:
        """Convert hotcoco's matching, which numbers detections and annotations from 1 in the order given."""
        rows = np.array(sorted(diagnostics["dt_status"]), np.int64) - 1
        target = np.full(len(results), -1, np.int64)
        for detection, annotation in diagnostics["dt_match"].items():
            target[detection - 1] = annotation - 1
        image, category, boxes, scores = columns(results)
        return cls(image[rows], category[rows], corners(boxes[rows]), scores[rows], target[rows])


def _operating_points(truth: GroundTruth, matches: _Matches) -> list[OperatingPoint]:
    objects, _ = truth.boxes_by_class()
    operating_points = [_operating_point(ALL, matches.scores, matches.target >= 0, objects.total())]
    for category_id, name in truth.categories.items():
        rows = matches.category == category_id
        operating_points.append(_operating_point(name, matches.scores[rows], matches.target[rows] >= 0, objects[category_id]))
    return operating_points


def _operating_point(name: str, scores: Floats, correct: Any, objects: int) -> OperatingPoint:
    """Return the highest score with the best F1; equal scores are kept or dropped together."""
    order = np.argsort(-scores, kind="stable")
    scores, detected = scores[order], np.cumsum(correct[order])
    if not objects or not len(detected) or not detected[-1]:
        return OperatingPoint(name, *(float("nan"),) * 4)
    kept = np.arange(1, len(scores) + 1)
    f1 = np.where(np.append(scores[1:] != scores[:-1], True), 2 * detected / (kept + objects), -1.0)
    best = int(f1.argmax())
    return OperatingPoint(name, float(scores[best]), float(detected[best] / kept[best]), float(detected[best] / objects), float(f1[best]))


def _confusions(truth: GroundTruth, matches: _Matches, score: float) -> tuple[tuple[str, str, int], ...]:
    """Match the wrong detections, best first, to the undetected object of another class that each overlaps most."""
    detected = set(matches.target[matches.scores >= score].tolist())
    free: dict[int, list[int]] = {}
    for row, annotation in enumerate(truth.annotations):
        if not annotation["iscrowd"] and row not in detected:
            free.setdefault(annotation["image_id"], []).append(row)
    boxes = corners(np.array([row["bbox"] for row in truth.annotations], np.float64).reshape(-1, 4))
    pairs: Counter[tuple[str, str]] = Counter()
    wrong = np.flatnonzero((matches.target < 0) & (matches.scores >= score))
    for index in wrong[np.argsort(-matches.scores[wrong], kind="stable")].tolist():
        category = int(matches.category[index])
        rows = [row for row in free.get(int(matches.image[index]), ()) if truth.annotations[row]["category_id"] != category]
        if not rows:
            continue
        iou = paired_iou(matches.boxes[index], boxes[rows])
        if iou.max() >= MIN_IOU:
            row = rows[int(iou.argmax())]
            free[int(matches.image[index])].remove(row)
            pairs[truth.categories[truth.annotations[row]["category_id"]], truth.categories[category]] += 1
    return tuple((*pair, count) for pair, count in pairs.most_common())


def _worst(truth: GroundTruth, matches: _Matches, score: float, count: int) -> tuple[ImageErrors, ...]:
    kept = matches.scores >= score
    right = Counter(matches.image[kept & (matches.target >= 0)].tolist())
    wrong = Counter(matches.image[kept & (matches.target < 0)].tolist())
    objects = Counter(row["image_id"] for row in truth.annotations if not row["iscrowd"])
    rows = [ImageErrors(truth.image_name(i), right[i], wrong[i], objects[i] - right[i]) for i in truth.image_ids]
    rows = [row for row in rows if row.wrong or row.missed]
    return tuple(sorted(rows, key=lambda row: -(row.wrong + row.missed))[:count])
