"""COCO's average precision and recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detkit.evaluation.engines import Curves, EvaluatorName, Floats, check_evaluator, curves
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.numbers import CocoClass, CocoNumbers, Counts
from detkit.evaluation.results import check_results

_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
_ONE, _TEN, _HUNDRED = range(3)
_IOU_50, _IOU_75 = 0, 5


def evaluate_coco(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], evaluator: EvaluatorName = "hotcoco", name: str = "ground truth"
) -> CocoNumbers:
    """The 12 COCO numbers and those of each class.

    Without detections AP is 0; a class without ground truth has NaN and counts in no mean, as COCO defines it.

    Args:
        ground_truth: A COCO dict: ``images``, ``annotations``, ``categories``.
        results: COCO results: rows of ``image_id``, ``category_id``, ``bbox`` (x, y, width, height) and ``score``.
        evaluator: ``"hotcoco"``, or ``"pycocotools"`` as the reference: the same numbers, about seventy times slower.
        name: What messages call the ground truth.

    Raises:
        ValueError: the ground truth or the results are not of their form; the message says where and what was expected.
    """
    check_evaluator(evaluator)
    truth = GroundTruth.of(ground_truth, name)
    return coco_numbers(truth, curves(truth, check_results(results, truth), evaluator), evaluator)


def coco_numbers(truth: GroundTruth, found: Curves, evaluator: EvaluatorName) -> CocoNumbers:
    """The numbers that an engine's curves amount to: means over what is not -1 (Lin et al., ECCV 2014, and pycocotools' ``summarize``)."""
    precision, recall = found.precision, found.recall
    values = {
        "AP": _mean(precision[..., _ALL, _HUNDRED]),
        "AP50": _mean(precision[_IOU_50, ..., _ALL, _HUNDRED]),
        "AP75": _mean(precision[_IOU_75, ..., _ALL, _HUNDRED]),
        "APs": _mean(precision[..., _SMALL, _HUNDRED]),
        "APm": _mean(precision[..., _MEDIUM, _HUNDRED]),
        "APl": _mean(precision[..., _LARGE, _HUNDRED]),
        "AR1": _mean(recall[..., _ALL, _ONE]),
        "AR10": _mean(recall[..., _ALL, _TEN]),
        "AR100": _mean(recall[..., _ALL, _HUNDRED]),
        "ARs": _mean(recall[..., _SMALL, _HUNDRED]),
        "ARm": _mean(recall[..., _MEDIUM, _HUNDRED]),
        "ARl": _mean(recall[..., _LARGE, _HUNDRED]),
    }
    boxes, crowds = truth.boxes_by_class()
    counts = Counts(len(truth.image_ids), boxes.total(), crowds, sum(found.detections), truth.left_out)
    return CocoNumbers(evaluator, values, _classes(truth, found), counts)


def _classes(truth: GroundTruth, found: Curves) -> tuple[CocoClass, ...]:
    boxes, _ = truth.boxes_by_class()
    precision, recall = found.precision[..., _ALL, _HUNDRED], found.recall[..., _ALL, _HUNDRED]
    return tuple(
        CocoClass(
            name=truth.categories[category_id],
            category_id=category_id,
            boxes=boxes[category_id],
            detections=found.detections[place],
            ap=_mean(precision[:, :, place]),
            ap50=_mean(precision[_IOU_50, :, place]),
            ap75=_mean(precision[_IOU_75, :, place]),
            ar=_mean(recall[:, place]),
        )
        for place, category_id in enumerate(found.category_ids)
    )


def _mean(values: Floats) -> float:
    """The mean of what is not -1; NaN if that is nothing."""
    known = values[values > -1]
    return float(np.mean(known)) if known.size else float("nan")
