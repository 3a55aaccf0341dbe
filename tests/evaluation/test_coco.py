from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from detkit.evaluation import COCO_NAMES, evaluate_coco
from detkit.evaluation.synthetic import synthetic_coco

EVALUATORS = ["hotcoco", "pycocotools"]


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_metrics_match_a_manual_computation(truth: Any, results: Any, evaluator: Any) -> None:
    numbers = evaluate_coco(truth, results, evaluator)
    assert list(numbers.values) == list(COCO_NAMES)
    assert numbers.ap == numbers["AP"] == pytest.approx(0.5)  # cat: 1, dog: 0, the bird has no ground truth
    assert numbers["AR100"] == pytest.approx(0.5)
    assert numbers["APs"] == pytest.approx(0.0)
    assert numbers["APm"] == pytest.approx(1.0)
    assert math.isnan(numbers["APl"])
    assert numbers.evaluator == evaluator


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_class_metrics_in_the_order_of_ids(truth: Any, results: Any, evaluator: Any) -> None:
    dog, cat, bird = evaluate_coco(truth, results, evaluator).classes
    assert (dog.name, dog.category_id, dog.boxes, dog.detections, dog.ap, dog.ar) == ("dog", 1, 1, 2, 0.0, 0.0)
    assert (cat.name, cat.boxes, cat.detections) == ("cat", 1, 1)
    assert [cat.ap, cat.ap50, cat.ap75, cat.ar] == pytest.approx([1, 1, 1, 1])
    assert (bird.name, bird.boxes, bird.detections) == ("bird", 0, 0)
    assert all(math.isnan(value) for value in (bird.ap, bird.ap50, bird.ap75, bird.ar))


def test_counts(truth: Any, results: Any) -> None:
    counts = evaluate_coco(truth, results).counts
    assert (counts.images, counts.boxes, counts.ignored, counts.detections, counts.left_out) == (2, 2, 1, 3, {})


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_no_detections_give_ap_0(truth: Any, evaluator: Any) -> None:
    numbers = evaluate_coco(truth, [], evaluator)
    assert (numbers["AP"], numbers["AP50"], numbers["AR100"]) == (0.0, 0.0, 0.0)
    assert [row.ap for row in numbers.classes[:2]] == [0.0, 0.0]


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_no_objects_give_nan(truth: Any, results: Any, evaluator: Any) -> None:
    for rows in ([], results):
        numbers = evaluate_coco({**truth, "annotations": []}, rows, evaluator)
        assert all(math.isnan(value) for value in numbers.values.values())


def test_json_has_null_without_ground_truth(truth: Any, results: Any) -> None:
    text = json.dumps(evaluate_coco(truth, results).to_dict(), allow_nan=False)
    content = json.loads(text)
    assert content["metric"] == "coco"
    assert content["values"]["AP"] == pytest.approx(0.5)
    assert content["values"]["APl"] is None
    assert content["classes"][2] == {
        "name": "bird",
        "category_id": 7,
        "boxes": 0,
        "detections": 0,
        "ap": None,
        "ap50": None,
        "ap75": None,
        "ar": None,
    }


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_inputs_are_not_modified(truth: Any, results: Any, evaluator: Any) -> None:
    before = json.dumps([truth, results])
    evaluate_coco(truth, results, evaluator)
    assert json.dumps([truth, results]) == before


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_nothing_is_printed(truth: Any, results: Any, evaluator: Any, capfd: pytest.CaptureFixture[str]) -> None:
    evaluate_coco(truth, results, evaluator)
    evaluate_coco(truth, [], evaluator)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_annotation_with_id_0_is_matched(truth: Any, results: Any, evaluator: Any) -> None:
    """PycocoTools uses 0 for no match, and therefore never matches an object whose id is 0."""
    truth["annotations"][0]["id"] = 0
    assert evaluate_coco(truth, results, evaluator)["AP"] == pytest.approx(0.5)


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_annotations_without_ids_areas_and_crowd_flags(truth: Any, results: Any, evaluator: Any) -> None:
    expected = evaluate_coco(truth, results, evaluator)
    for row in truth["annotations"][:2]:
        for key in ("id", "area", "iscrowd"):
            del row[key]
    assert repr(evaluate_coco(truth, results, evaluator)) == repr(expected)


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_boxes_of_unlisted_images_and_categories_are_skipped_and_counted(truth: Any, results: Any, evaluator: Any) -> None:
    expected = evaluate_coco(truth, results, evaluator)
    more = [{"image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1]}, {"image_id": 10, "category_id": 99, "bbox": [0, 0, 1, 1]}]
    numbers = evaluate_coco({**truth, "annotations": [*more, *truth["annotations"]]}, results, evaluator)
    assert repr(numbers.values) == repr(expected.values)
    assert list(numbers.counts.left_out.values()) == [1, 1]


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_results_with_tuples_arrays_and_numpy_numbers(truth: Any, results: Any, evaluator: Any) -> None:
    expected = evaluate_coco(truth, results, evaluator)
    kinds: list[Any] = [tuple, np.array, lambda box: [np.float32(value) for value in box]]
    for row, kind in zip(results, kinds, strict=True):
        row.update(bbox=kind(row["bbox"]), score=np.float64(row["score"]), image_id=np.int64(row["image_id"]))
    assert repr(evaluate_coco(truth, results, evaluator)) == repr(expected)


def test_synthetic_data_is_deterministic_and_has_the_requested_size() -> None:
    truth, results = synthetic_coco(50, 4_000, classes=5)
    assert (truth, results) == synthetic_coco(50, 4_000, classes=5)
    numbers = evaluate_coco(truth, results)
    assert (numbers.counts.images, numbers.counts.detections, len(numbers.classes)) == (50, 4_000, 5)
    assert 0.01 < numbers.ap < 0.5
