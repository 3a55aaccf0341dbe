"""COCO average precision and average recall."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from detkit.evaluation.coco_curves import Curves, EvaluatorName, Floats, check_evaluator, curves, segm_curves
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.numbers import CocoClass, CocoNumbers, Counts
from detkit.evaluation.results import check_results
from detkit.evaluation.segm import MaskRows, has_segmentations, mask_rows, mask_truth

_log = logging.getLogger(__name__)

_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
_MAX_1, _MAX_10, _MAX_100 = range(3)
_IOU_50, _IOU_75 = 0, 5


def evaluate_coco(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], evaluator: EvaluatorName = "hotcoco", name: str = "ground truth"
) -> CocoNumbers:
    """Compute the 12 COCO metrics, overall and per class.

    If the results have masks (``segmentation``), the metrics of masks are ``segm`` of the returned ones. Without detections AP is 0. A
    class without ground truth gets NaN and is left out of the means, as COCO defines it.

    Args:
        ground_truth: A COCO dict with ``images``, ``annotations`` and ``categories``.
        results: COCO results: rows with ``image_id``, ``category_id``, ``bbox`` (x, y, width, height) and ``score``.
        evaluator: ``"hotcoco"``, or ``"pycocotools"`` as the reference (same numbers, about seventy times slower).
        name: Name of the ground truth in error messages.

    Raises:
        ValueError: If the ground truth or the results have the wrong format; the message states where, and the expected format.
    """
    check_evaluator(evaluator)
    has_masks = has_segmentations(results)
    truth = GroundTruth.of(ground_truth, name, masks=has_masks)
    rows = check_results(results, truth)
    numbers = coco_numbers(truth, curves(truth, rows, evaluator), evaluator)
    if not has_masks:
        return numbers
    return with_segm(numbers, truth, partial(mask_rows, rows), evaluator)


def with_segm(numbers: CocoNumbers, truth: GroundTruth, rows: Callable[[GroundTruth], MaskRows], evaluator: EvaluatorName) -> CocoNumbers:
    """Return the metrics of boxes with those of masks as ``segm``; a warning replaces these if no labeled object has a mask.

    Args:
        numbers: The metrics of boxes.
        truth: The ground truth, with masks.
        rows: Returns the detections for the ground truth.
        evaluator: Name of the evaluator.
    """
    masks = mask_truth(truth)
    if masks is None:
        _log.warning("%s: no labeled object has a mask, so there is no AP of masks (segm), only of boxes", truth.name)
        return numbers
    return replace(numbers, segm=coco_numbers(masks, segm_curves(masks, rows(masks), evaluator), evaluator))


def coco_numbers(truth: GroundTruth, accumulated: Curves, evaluator: EvaluatorName) -> CocoNumbers:
    """Average curves over the entries that are not -1 (Lin et al., ECCV 2014, and pycocotools' ``summarize``)."""
    precision, recall = accumulated.precision, accumulated.recall
    values = {
        "AP": coco_mean(precision[..., _ALL, _MAX_100]),
        "AP50": coco_mean(precision[_IOU_50, ..., _ALL, _MAX_100]),
        "AP75": coco_mean(precision[_IOU_75, ..., _ALL, _MAX_100]),
        "APs": coco_mean(precision[..., _SMALL, _MAX_100]),
        "APm": coco_mean(precision[..., _MEDIUM, _MAX_100]),
        "APl": coco_mean(precision[..., _LARGE, _MAX_100]),
        "AR1": coco_mean(recall[..., _ALL, _MAX_1]),
        "AR10": coco_mean(recall[..., _ALL, _MAX_10]),
        "AR100": coco_mean(recall[..., _ALL, _MAX_100]),
        "ARs": coco_mean(recall[..., _SMALL, _MAX_100]),
        "ARm": coco_mean(recall[..., _MEDIUM, _MAX_100]),
        "ARl": coco_mean(recall[..., _LARGE, _MAX_100]),
    }
    boxes, crowds = truth.boxes_by_class()
    counts = Counts(len(truth.image_ids), boxes.total(), crowds, sum(accumulated.detections), truth.left_out)
    return CocoNumbers(evaluator, values, _classes(truth, accumulated), counts)


def _classes(truth: GroundTruth, accumulated: Curves) -> tuple[CocoClass, ...]:
    boxes, _ = truth.boxes_by_class()
    precision, recall = accumulated.precision[..., _ALL, _MAX_100], accumulated.recall[..., _ALL, _MAX_100]
    return tuple(
        CocoClass(
            name=truth.categories[category_id],
            category_id=category_id,
            boxes=boxes[category_id],
            detections=accumulated.detections[index],
            ap=coco_mean(precision[:, :, index]),
            ap50=coco_mean(precision[_IOU_50, :, index]),
            ap75=coco_mean(precision[_IOU_75, :, index]),
            ar=coco_mean(recall[:, index]),
        )
        for index, category_id in enumerate(accumulated.category_ids)
    )


def coco_mean(values: Floats) -> float:
    """Return the mean of the values that are not -1 or NaN, or NaN if there are none."""
    known = values[values > -1]
    return float(np.mean(known)) if known.size else float("nan")
