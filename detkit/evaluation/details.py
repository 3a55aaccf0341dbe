"""Error analysis of a detector: best score threshold of each class, TIDE errors, class confusions, images with most errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from detkit.checkpoint.operating_points import OperatingPoint
from detkit.evaluation.analysis.best_f1 import best_f1_points, kept_score
from detkit.evaluation.analysis.judging import judge
from detkit.evaluation.analysis.listing import images_with_mistakes
from detkit.evaluation.analysis.matches import MIN_IOU, Matches
from detkit.evaluation.analysis.tide import ERRORS, tide_errors
from detkit.evaluation.ground_truth import GroundTruth

__all__ = ["ERRORS", "MIN_IOU", "Details", "ImageErrors", "coco_details", "operating_points"]


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
    matches = Matches.of(truth, results)
    points = best_f1_points(truth, matches)
    score = kept_score(points)
    judgments = judge(truth, matches, score)
    pairs = Counter[tuple[str, str]]()
    for index, judgment in judgments.items():
        if judgment.kind == "wrong class" and judgment.accounts:
            true_class = truth.annotations[judgment.target]["category_id"]
            pairs[truth.categories[true_class], truth.categories[int(matches.category[index])]] += 1
    rows = images_with_mistakes(truth, matches, score)[:worst]
    images = tuple(ImageErrors(row.name, row.correct, row.wrong, row.missed) for row in rows)
    return Details(points, tide_errors(truth, results), tuple((*pair, count) for pair, count in pairs.most_common()), images)


def operating_points(truth: GroundTruth, results: Any) -> tuple[OperatingPoint, ...]:
    """Return the score threshold with the best F1 of all classes together, then that of each class; see :func:`coco_details`."""
    return best_f1_points(truth, Matches.of(truth, results))
