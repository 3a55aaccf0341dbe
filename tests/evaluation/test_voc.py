from __future__ import annotations

import json
import math
from typing import Any

import pytest

from detkit.evaluation import evaluate_voc


def scene(*boxes: list[float], difficult: tuple[int, ...] = ()) -> dict[str, Any]:
    rows = [{"image_id": 1, "category_id": 1, "bbox": box, "difficult": int(index in difficult)} for index, box in enumerate(boxes)]
    return {"images": [{"id": 1}], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], "annotations": rows}


def detections(*rows: tuple[list[float], float]) -> list[dict[str, Any]]:
    return [{"image_id": 1, "category_id": 1, "bbox": box, "score": score} for box, score in rows]


A, B, FAR = [0.0, 0, 10, 10], [50.0, 50, 10, 10], [200.0, 200, 10, 10]


def test_ap_is_1_with_all_objects_detected_and_0_with_none() -> None:
    for rule in ("11-point", "all-point"):
        assert evaluate_voc(scene(A, B), detections((A, 0.9), (B, 0.8)), rule).ap == pytest.approx(1.0)
        assert evaluate_voc(scene(A, B), [], rule).ap == 0.0


def test_ap_of_both_rules() -> None:
    """Half of the objects are detected at precision 1, the other half at 2/3."""
    results = detections((A, 0.9), (FAR, 0.8), (B, 0.7))
    assert evaluate_voc(scene(A, B), results, "all-point").ap == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert evaluate_voc(scene(A, B), results, "11-point").ap == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_duplicate_detection_is_wrong() -> None:
    assert evaluate_voc(scene(A, B), detections((A, 0.9), (A, 0.8), (B, 0.7))).ap == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_difficult_objects_are_ignored() -> None:
    numbers = evaluate_voc(scene(A, B, difficult=(1,)), detections((B, 0.9), (B, 0.85), (A, 0.8)))
    assert numbers.ap == pytest.approx(1.0)
    assert (numbers.counts.boxes, numbers.counts.ignored, numbers.classes[0].boxes) == (1, 1, 1)


def test_detection_at_the_threshold_is_correct() -> None:
    half = [0.0, 0, 10, 5]
    assert evaluate_voc(scene(A), detections((half, 0.9)), iou_thresholds=(0.5,)).ap == pytest.approx(1.0)
    assert evaluate_voc(scene(A), detections((half, 0.9)), iou_thresholds=(0.51,)).ap == 0.0


def test_class_without_objects_is_nan_and_left_out_of_the_mean() -> None:
    results = [*detections((A, 0.9)), {"image_id": 1, "category_id": 2, "bbox": A, "score": 0.9}]
    numbers = evaluate_voc(scene(A), results, iou_thresholds=(0.5, 0.9))
    assert numbers.values == (1.0, 1.0)
    assert (numbers[0.5], numbers[0.9]) == (1.0, 1.0)
    assert all(math.isnan(ap) for ap in numbers.classes[1].ap)
    assert numbers.classes[1].detections == 1
    assert json.loads(json.dumps(numbers.to_dict(), allow_nan=False))["classes"][1]["ap"] == [None, None]


def test_only_difficult_objects_give_nan() -> None:
    assert math.isnan(evaluate_voc(scene(A, difficult=(0,)), detections((A, 0.9))).ap)


def test_large_image_ids_are_distinguished() -> None:
    """2 ** 53 + 1 cannot be represented as float64."""
    ids = (2**53, 2**53 + 1)
    truth = {
        "images": [{"id": i} for i in ids],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [{"image_id": ids[0], "category_id": 1, "bbox": A}],
    }
    result = {"category_id": 1, "bbox": A, "score": 0.5}
    assert evaluate_voc(truth, [{"image_id": ids[1], **result}]).ap == 0.0
    assert evaluate_voc(truth, [{"image_id": ids[0], **result}]).ap == 1.0
