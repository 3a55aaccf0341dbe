"""The two programs that compute COCO's curves: hotcoco, and pycocotools as the reference. They give the same numbers."""

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
EVALUATORS: tuple[EvaluatorName, ...] = ("hotcoco", "pycocotools")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """What an engine accumulates: T = 10 IoU thresholds, R = 101 recalls, K classes, A = 4 areas (all, small, medium, large), M = 3 limits.

    Attributes:
        precision: ``(T, R, K, A, M)``; -1 where there is no object.
        recall: ``(T, K, A, M)``; -1 where there is no object.
        scores: ``(T, R, K, A, M)`` scores at which those recalls are reached.
        category_ids: ``K`` ids, ascending.
        detections: ``K`` numbers of detections.
    """

    precision: Floats
    recall: Floats
    scores: Floats
    category_ids: tuple[int, ...]
    detections: tuple[int, ...]


def check_evaluator(name: str) -> None:
    """Raise unless there is an engine of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in EVALUATORS:
        raise ValueError(f"unknown engine {name!r}: expected {' or '.join(EVALUATORS)}")


def curves(truth: GroundTruth, results: Any, evaluator: EvaluatorName) -> Curves:
    """Evaluate checked results (rows, or an ``(N, 7)`` array of image id, x, y, width, height, score, category id).

    Raises:
        ValueError: there is no such engine.
    """
    check_evaluator(evaluator)
    if evaluator == "pycocotools":
        return pycocotools_curves(truth, results)
    import hotcoco

    ground_truth = hotcoco.COCO(truth.to_dict())
    return hotcoco_curves(ground_truth, ground_truth.load_res(results))


def hotcoco_curves(ground_truth: Any, detections: Any) -> Curves:
    """Evaluate two ``hotcoco.COCO`` objects."""
    evaluation = hotcoco_evaluation(ground_truth, detections)
    category_ids = tuple(evaluation.params.cat_ids)
    counted = {row["id"]: row["ann_count"] for row in detections.stats()["per_category"]}
    return _curves(evaluation.eval, category_ids, [counted.get(category_id, 0) for category_id in category_ids])


def hotcoco_evaluation(ground_truth: Any, detections: Any) -> Any:
    """The ``hotcoco.COCOeval`` of two ``hotcoco.COCO`` objects, evaluated and accumulated."""
    import hotcoco

    evaluation = hotcoco.COCOeval(ground_truth, detections, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def pycocotools_curves(truth: GroundTruth, results: Any) -> Curves:
    """Evaluate with pycocotools, which takes about seventy times as long; its printing is silenced."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with _silent():
        ground_truth = COCO()
        ground_truth.dataset = truth.to_dict()
        ground_truth.createIndex()
        detections = ground_truth.loadRes(_copied(results)) if len(results) else _no_detections(COCO, ground_truth)
        evaluation = COCOeval(ground_truth, detections, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    category_ids = tuple(int(category_id) for category_id in evaluation.params.catIds)
    counted = [len(detections.getAnnIds(catIds=[category_id])) for category_id in category_ids]
    return _curves(evaluation.eval, category_ids, counted)


def _copied(results: Any) -> Any:
    """PycocoTools writes into the rows it is given, and takes no tuple, array or numpy number for a box."""
    if isinstance(results, np.ndarray):
        return results
    keys = ("image_id", "category_id", "bbox", "score")
    image, category, boxes, scores = (column.tolist() for column in columns(results))
    return [dict(zip(keys, row, strict=True)) for row in zip(image, category, boxes, scores, strict=True)]


def _no_detections(coco: Any, ground_truth: Any) -> Any:
    """An empty set of results; ``loadRes([])`` raises an IndexError in pycocotools."""
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
