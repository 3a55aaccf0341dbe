"""Where a detector goes wrong: the score to cut each class at, the kinds of error and what they cost, mix-ups, the worst images."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detkit.evaluation.engines import hotcoco_evaluation
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Floats, Integers, columns
from detkit.evaluation.voc import corners, pair_iou

MIN_OVERLAP = 0.5
"""IoU from which a detection is right; the details are all at this one."""

ERRORS: dict[str, str] = {
    "Cls": "right place, wrong class",
    "Loc": "right class, but IoU below .5",
    "Both": "wrong class and IoU below .5",
    "Dupe": "an object found before",
    "Bkg": "nothing there",
    "Miss": "an object that nothing came near to",
}
"""TIDE's kinds of error (Bolya et al., ECCV 2020), which together explain all that is wrong."""


@dataclass(frozen=True)
class OperatingPoint:
    """The score at which to cut a class's detections for the best F1, and what it then gives; NaN without objects or right detections.

    Attributes:
        name: The class, or ``"all"``: one score for all classes, counted together.
        score: Detections from this score on are kept.
        precision: Part of the kept detections that is right.
        recall: Part of the objects that is found.
        f1: Harmonic mean of the two.
    """

    name: str
    score: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ImageErrors:
    """A image with right detections, wrong ones, and missed objects."""

    image: str
    right: int
    wrong: int
    missed: int


@dataclass(frozen=True)
class Details:
    """More than the numbers; everything at IoU .5, with COCO's matching.

    Attributes:
        cuts: The best score to cut each class at; the first row is for all classes together.
        errors: For each kind of error how often it occurs among all detections, and how much AP50 it costs.
        confused: Objects of one class taken for another, at the first row's score: (truth, found, how often), most often first.
        worst: The images with most errors at the first row's score.
    """

    cuts: tuple[OperatingPoint, ...]
    errors: dict[str, tuple[int, float]]
    confused: tuple[tuple[str, str, int], ...]
    worst: tuple[ImageErrors, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; NaN becomes None."""
        rows = [{key: None if value != value else value for key, value in asdict(cut).items()} for cut in self.cuts]
        errors = {kind: {"count": count, "ap50": cost} for kind, (count, cost) in self.errors.items()}
        confused = [{"truth": truth, "found": found, "count": count} for truth, found, count in self.confused]
        return {"cuts": rows, "errors": errors, "confused": confused, "worst": [asdict(row) for row in self.worst]}


def coco_details(truth: GroundTruth, results: Any, worst: int = 20) -> Details:
    """Look into checked results (rows, or an ``(N, 7)`` array as :func:`~detkit.evaluation.engines.curves` takes it).

    Args:
        truth: The ground truth.
        results: The detections.
        worst: How many of the worst images are named.
    """
    import hotcoco

    ground_truth = hotcoco.COCO(truth.to_dict())
    evaluation = hotcoco_evaluation(ground_truth, ground_truth.load_res(results))
    matches = _Matches.of(evaluation.image_diagnostics(MIN_OVERLAP, float("-inf")), truth, results)
    cuts = _cuts(truth, matches)
    score = cuts[0].score if cuts[0].score == cuts[0].score else float("inf")
    tide = evaluation.tide_errors(MIN_OVERLAP, 0.1)
    errors = {kind: (int(tide["counts"][kind]), float(tide["delta_ap"][kind])) for kind in ERRORS}
    return Details(tuple(cuts), errors, _confused(truth, matches, score), _worst(truth, matches, score, worst))


@dataclass(frozen=True)
class _Matches:
    """Detections that count (those in crowds, and beyond the 100th of a image and class, do not), and what each found.

    Attributes:
        image: ``(N,)`` image ids.
        category: ``(N,)`` category ids.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2``.
        scores: ``(N,)``.
        found: ``(N,)`` row of the ground truth that the detection found, or -1.
    """

    image: Integers
    category: Integers
    boxes: Floats
    scores: Floats
    found: Integers

    @classmethod
    def of(cls, diagnostics: dict[str, Any], truth: GroundTruth, results: Any) -> _Matches:
        """From hotcoco's matching, in which detections and annotations are numbered from 1 in the order given."""
        rows = np.array(sorted(diagnostics["dt_status"]), np.int64) - 1
        found = np.full(len(results), -1, np.int64)
        for detection, annotation in diagnostics["dt_match"].items():
            found[detection - 1] = annotation - 1
        image, category, boxes, scores = columns(results)
        return cls(image[rows], category[rows], corners(boxes[rows]), scores[rows], found[rows])


def _cuts(truth: GroundTruth, matches: _Matches) -> list[OperatingPoint]:
    objects, _ = truth.boxes_by_class()
    cuts = [_cut("all", matches.scores, matches.found >= 0, objects.total())]
    for category_id, name in truth.categories.items():
        mine = matches.category == category_id
        cuts.append(_cut(name, matches.scores[mine], matches.found[mine] >= 0, objects[category_id]))
    return cuts


def _cut(name: str, scores: Floats, right: Any, objects: int) -> OperatingPoint:
    """The highest of the scores with the best F1; equal scores are kept or cut together."""
    order = np.argsort(-scores, kind="stable")
    scores, found = scores[order], np.cumsum(right[order])
    if not objects or not len(found) or not found[-1]:
        return OperatingPoint(name, *(float("nan"),) * 4)
    kept = np.arange(1, len(scores) + 1)
    f1 = np.where(np.append(scores[1:] != scores[:-1], True), 2 * found / (kept + objects), -1.0)
    best = int(f1.argmax())
    return OperatingPoint(name, float(scores[best]), float(found[best] / kept[best]), float(found[best] / objects), float(f1[best]))


def _confused(truth: GroundTruth, matches: _Matches, score: float) -> tuple[tuple[str, str, int], ...]:
    """Wrong detections above the score, best first, each take the object of another class, not found, that they overlap most."""
    found = set(matches.found[matches.scores >= score].tolist())
    free: dict[int, list[int]] = {}
    for row, annotation in enumerate(truth.annotations):
        if not annotation["iscrowd"] and row not in found:
            free.setdefault(annotation["image_id"], []).append(row)
    boxes = corners(np.array([row["bbox"] for row in truth.annotations], np.float64).reshape(-1, 4))
    pairs: Counter[tuple[str, str]] = Counter()
    wrong = np.flatnonzero((matches.found < 0) & (matches.scores >= score))
    for place in wrong[np.argsort(-matches.scores[wrong], kind="stable")].tolist():
        category = int(matches.category[place])
        rows = [row for row in free.get(int(matches.image[place]), ()) if truth.annotations[row]["category_id"] != category]
        if not rows:
            continue
        overlap = pair_iou(np.repeat(matches.boxes[place][None], len(rows), 0), boxes[rows])
        if overlap.max() >= MIN_OVERLAP:
            row = rows[int(overlap.argmax())]
            free[int(matches.image[place])].remove(row)
            pairs[truth.categories[truth.annotations[row]["category_id"]], truth.categories[category]] += 1
    return tuple((*pair, count) for pair, count in pairs.most_common())


def _worst(truth: GroundTruth, matches: _Matches, score: float, count: int) -> tuple[ImageErrors, ...]:
    kept = matches.scores >= score
    right = Counter(matches.image[kept & (matches.found >= 0)].tolist())
    wrong = Counter(matches.image[kept & (matches.found < 0)].tolist())
    objects = Counter(row["image_id"] for row in truth.annotations if not row["iscrowd"])
    rows = [ImageErrors(truth.image(i), right[i], wrong[i], objects[i] - right[i]) for i in truth.image_ids]
    rows = [row for row in rows if row.wrong or row.missed]
    return tuple(sorted(rows, key=lambda row: -(row.wrong + row.missed))[:count])
