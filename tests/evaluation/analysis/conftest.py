"""Fixtures: functions that make difficult scenes and judge them with pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.synthetic import synthetic_coco

Results = list[dict[str, Any]]
Scene = Callable[..., tuple[GroundTruth, Results]]
"""Function that returns ground truth and results with crowds, equal scores, areas unlike the boxes, and an unused class."""


@pytest.fixture
def difficult_scene() -> Scene:
    return _difficult_scene


@pytest.fixture
def pycocotools_evaluation() -> Callable[[GroundTruth, Results], Any]:
    """Function that returns pycocotools' evaluated and accumulated ``COCOeval``."""
    return _pycocotools_evaluation


@pytest.fixture
def table() -> Callable[[Results], np.ndarray[Any, Any]]:
    """Function that converts results to an ``(N, 7)`` array."""
    return _table


def _difficult_scene(
    images: int = 6, detections: int = 300, classes: int = 3, seed: int = 0, detected: float = 0.0
) -> tuple[GroundTruth, Results]:
    """Detections are mostly wrong; of the objects, ``detected`` are detected in addition, some as another class, and some twice."""
    dataset, results = synthetic_coco(images, detections, classes, seed)
    rng = np.random.default_rng(seed)
    dataset["images"].reverse()
    dataset["categories"].append({"id": 1000, "name": "neither labeled nor detected"})
    for row in dataset["annotations"][::4]:  # another object at almost the same place
        x, y, width, height = row["bbox"]
        dataset["annotations"].append({**row, "id": len(dataset["annotations"]) + 1, "bbox": [x + 0.05 * width, y, width, height]})
        dataset["annotations"][-1]["area"] *= float(rng.choice([0.05, 20.0]))
    for row in dataset["annotations"]:
        row["iscrowd"] = int(rng.random() < 0.15)
        row["area"] *= float(rng.uniform(0.5, 1.5))
    for row in dataset["annotations"]:
        for _ in range(int(rng.random() < detected) * int(rng.integers(1, 3))):
            category_id = int(rng.integers(1, classes + 1)) if rng.random() < 0.2 else row["category_id"]
            score = float(rng.uniform(0.2, 1))
            results.append({"image_id": row["image_id"], "category_id": category_id, "bbox": list(row["bbox"]), "score": score})
    for row in results:
        row["score"] = round(row["score"], 1)
    return GroundTruth.of(dataset), results


def _table(results: Results) -> np.ndarray[Any, Any]:
    rows = [(row["image_id"], *row["bbox"], row["score"], row["category_id"]) for row in results]
    return np.array(rows, np.float64).reshape(-1, 7)


def _pycocotools_evaluation(truth: GroundTruth, results: Results) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = truth.to_dict()
        ground_truth.createIndex()
        evaluation = COCOeval(ground_truth, ground_truth.loadRes([dict(row) for row in results]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation
