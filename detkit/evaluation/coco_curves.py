"""COCO precision and recall curves, from hotcoco or from pycocotools, the reference; both give the same numbers."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import columns

EvaluatorName = Literal["hotcoco", "pycocotools"]
IouKind = Literal["bbox", "segm"]
"""Whether detections are compared with objects by their boxes or by their masks."""
EVALUATORS: tuple[EvaluatorName, ...] = ("hotcoco", "pycocotools")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Accumulated precision and recall.

    T = 10 IoU thresholds, R = 101 recalls, K classes, A = 4 areas (all, small, medium, large), M = 3 limits of detections per image.

    Attributes:
        precision: ``(T, R, K, A, M)`` precision; -1 where there are no objects.
        recall: ``(T, K, A, M)`` recall; -1 where there are no objects.
        scores: ``(T, R, K, A, M)`` scores at which the recalls are reached.
        category_ids: The ``K`` category ids, ascending.
        detections: Number of detections of each of the ``K`` classes.
    """

    precision: Floats
    recall: Floats
    scores: Floats
    category_ids: tuple[int, ...]
    detections: tuple[int, ...]


def check_evaluator(name: str) -> None:
    """Check the name of an evaluator.

    Raises:
        ValueError: If the evaluator does not exist.
    """
    if name not in EVALUATORS:
        raise ValueError(f"unknown evaluator {name!r}: expected {' or '.join(EVALUATORS)}")


def curves(truth: GroundTruth, results: Any, evaluator: EvaluatorName) -> Curves:
    """Evaluate checked results.

    Args:
        truth: The ground truth.
        results: Rows, or an ``(N, 7)`` array of image id, x, y, width, height, score, category id.
        evaluator: ``"hotcoco"`` or ``"pycocotools"``.

    Raises:
        ValueError: If the evaluator does not exist.
    """
    check_evaluator(evaluator)
    if evaluator == "pycocotools":
        return pycocotools_curves(truth, results)
    import hotcoco

    ground_truth = hotcoco.COCO(truth.to_dict())
    return hotcoco_curves(ground_truth, ground_truth.load_res(_without_masks(results)))


def segm_curves(truth: GroundTruth, rows: Any, evaluator: EvaluatorName) -> Curves:
    """Evaluate masks.

    Args:
        truth: Ground truth whose annotations have masks; see :func:`detkit.evaluation.segm.mask_truth`.
        rows: Detections; see :func:`detkit.evaluation.segm.mask_rows`.
        evaluator: ``"hotcoco"`` or ``"pycocotools"``.

    Raises:
        ValueError: If the evaluator does not exist.
    """
    check_evaluator(evaluator)
    if evaluator == "pycocotools":
        return _pycocotools(truth, [dict(row) for row in rows], "segm")
    import hotcoco

    ground_truth = hotcoco.COCO(truth.to_dict())
    return hotcoco_curves(ground_truth, ground_truth.load_res(list(rows)), "segm")


def hotcoco_curves(ground_truth: Any, detections: Any, kind: IouKind = "bbox") -> Curves:
    """Return the curves of two ``hotcoco.COCO`` objects."""
    evaluation = hotcoco_evaluation(ground_truth, detections, kind)
    category_ids = tuple(evaluation.params.cat_ids)
    counts = {row["id"]: row["ann_count"] for row in detections.stats()["per_category"]}
    return _curves(evaluation.eval, category_ids, [counts.get(category_id, 0) for category_id in category_ids])


def hotcoco_evaluation(ground_truth: Any, detections: Any, kind: IouKind = "bbox") -> Any:
    """Return the ``hotcoco.COCOeval`` of two ``hotcoco.COCO`` objects, evaluated and accumulated."""
    import hotcoco

    evaluation = hotcoco.COCOeval(ground_truth, detections, kind)
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def pycocotools_curves(truth: GroundTruth, results: Any) -> Curves:
    """Evaluate with pycocotools, which is about seventy times slower; its output is suppressed."""
    return _pycocotools(truth, _plain_rows(results), "bbox")


def _pycocotools(truth: GroundTruth, rows: Any, kind: IouKind) -> Curves:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with _silent():
        ground_truth = COCO()
        ground_truth.dataset = truth.to_dict()
        ground_truth.createIndex()
        detections = ground_truth.loadRes(rows) if len(rows) else _no_detections(COCO, ground_truth)
        evaluation = COCOeval(ground_truth, detections, kind)
        evaluation.evaluate()
        evaluation.accumulate()
    category_ids = tuple(int(category_id) for category_id in evaluation.params.catIds)
    counts = [len(detections.getAnnIds(catIds=[category_id])) for category_id in category_ids]
    return _curves(evaluation.eval, category_ids, counts)


def _without_masks(results: Any) -> Any:
    """Return results without their masks, which the metrics of boxes do not need."""
    if isinstance(results, np.ndarray) or not any("segmentation" in row for row in results):
        return results
    return [{key: value for key, value in row.items() if key != "segmentation"} for row in results]


def _plain_rows(results: Any) -> Any:
    """Copy the results for pycocotools, which modifies its input and rejects tuples, arrays and numpy numbers as boxes."""
    if isinstance(results, np.ndarray):
        return results
    keys = ("image_id", "category_id", "bbox", "score")
    image, category, boxes, scores = (column.tolist() for column in columns(results))
    return [dict(zip(keys, row, strict=True)) for row in zip(image, category, boxes, scores, strict=True)]


def _no_detections(coco: Any, ground_truth: Any) -> Any:
    """Return an empty set of results; ``loadRes([])`` raises an IndexError in pycocotools."""
    empty = coco()
    empty.dataset = {**ground_truth.dataset, "annotations": []}
    empty.createIndex()
    return empty


def _curves(accumulated: Any, category_ids: tuple[int, ...], detections: list[int]) -> Curves:
    arrays = {name: np.asarray(accumulated[name], np.float64) for name in ("precision", "recall", "scores")}
    return Curves(**arrays, category_ids=category_ids, detections=tuple(detections))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield
