from __future__ import annotations

import contextlib
import io
import json
import math
from typing import Any

import numpy as np
import pytest

from detkit.checkpoint.operating_points import OperatingPoint
from detkit.evaluation.details import ERRORS, ImageErrors, coco_details, operating_points
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.synthetic import synthetic_coco

A, B, FAR = [0, 0, 10, 10], [50, 50, 10, 10], [200, 200, 10, 10]


def scene(*objects: tuple[int, list[int]], images: int = 1) -> GroundTruth:
    rows = [{"image_id": 1, "category_id": category, "bbox": box} for category, box in objects]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    image_rows = [{"id": i + 1, "file_name": f"{i + 1}.jpg"} for i in range(images)]
    return GroundTruth.of({"images": image_rows, "categories": categories, "annotations": rows})


def detections(*rows: tuple[int, list[int], float], image: int = 1) -> list[dict[str, Any]]:
    return [{"image_id": image, "category_id": category, "bbox": box, "score": score} for category, box, score in rows]


KINDS = {
    "Cls": (scene((1, A), (2, B)), detections((1, A, 0.9), (1, B, 0.8))),
    "Loc": (scene((1, A), (1, B)), detections((1, A, 0.9), (1, [50, 57, 10, 10], 0.8))),
    "Both": (scene((1, A), (2, B)), detections((1, A, 0.8), (1, [50, 57, 10, 10], 0.9))),
    "Dupe": (scene((1, A), (1, B)), detections((1, A, 0.9), (1, A, 0.8), (1, B, 0.7))),
    "Bkg": (scene((1, A), (1, B)), detections((1, A, 0.9), (1, FAR, 0.8), (1, B, 0.7))),
    "Miss": (scene((1, A), (1, B)), detections((1, A, 0.9))),
}


@pytest.mark.parametrize("kind", [*KINDS])
def test_errors_of_each_type_and_their_cost(kind: str) -> None:
    truth, results = KINDS[kind]
    errors = coco_details(truth, results).errors
    assert errors.keys() == ERRORS.keys()
    assert errors[kind][0] == 1
    assert errors[kind][1] > 0.1
    others = {name: count for name, (count, _) in errors.items() if name not in {kind, "Miss"}}
    assert set(others.values()) == {0}


@pytest.mark.parametrize(("kind", "ap50"), [("Loc", 51 / 101), ("Miss", 51 / 101), ("Cls", 0.5)])
def test_cost_of_the_only_error_is_the_ap_missing_to_1(kind: str, ap50: float) -> None:
    truth, results = KINDS[kind]
    assert coco_details(truth, results).errors[kind][1] == pytest.approx(1 - ap50)


def test_score_threshold_with_the_best_f1() -> None:
    truth = scene((1, A), (1, B), (2, FAR))
    results = detections((1, A, 0.9), (1, B, 0.6), (1, FAR, 0.6), (1, [100, 0, 9, 9], 0.3), (2, [100, 0, 9, 9], 0.7))
    everything, cat, dog = coco_details(truth, results).operating_points
    assert cat == OperatingPoint("cat", 0.6, pytest.approx(2 / 3), 1.0, pytest.approx(0.8))  # the two at .6 are kept or dropped together
    assert dog.name == "dog"
    assert all(math.isnan(value) for value in (dog.score, dog.precision, dog.recall, dog.f1))
    assert everything == OperatingPoint("all", 0.6, pytest.approx(2 / 4), pytest.approx(2 / 3), pytest.approx(4 / 7))


def brute_force_threshold(truth: GroundTruth, results: list[dict[str, Any]], category_id: int) -> tuple[float, float]:
    """Return the best F1 and its score by trying every score, with pycocotools' matching of the remaining detections."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    best = (-1.0, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = truth.to_dict()
        ground_truth.createIndex()
        for score in sorted({row["score"] for row in results}, reverse=True):
            kept = [dict(row) for row in results if row["score"] >= score]
            evaluation = COCOeval(ground_truth, ground_truth.loadRes(kept), "bbox")
            evaluation.params.catIds, evaluation.params.iouThrs = [category_id], np.array([0.5])
            evaluation.params.areaRng, evaluation.params.maxDets = [[0, 1e10]], [100]
            evaluation.evaluate()
            rows = [row for row in evaluation.evalImgs if row is not None]
            counted = sum(int((~row["dtIgnore"][0].astype(bool)).sum()) for row in rows)
            correct = sum(int(((row["dtMatches"][0] > 0) & ~row["dtIgnore"][0].astype(bool)).sum()) for row in rows)
            objects = sum(int((np.array(row["gtIgnore"]) == 0).sum()) for row in rows)
            best = max(best, (2 * correct / (counted + objects), score))
    return best


def test_thresholds_match_brute_force() -> None:
    dataset, results = synthetic_coco(6, 60, classes=2, seed=4)
    for row in dataset["annotations"][::9]:
        row["iscrowd"] = 1
    for row in results:
        row["score"] = round(row["score"], 1)
    truth = GroundTruth.of(dataset)
    for point, category_id in zip(coco_details(truth, results).operating_points[1:], truth.categories, strict=True):
        f1, score = brute_force_threshold(truth, results, category_id)
        assert f1 > 0
        assert (point.f1, point.score) == (pytest.approx(f1), score)


def test_confusions_and_worst_images() -> None:
    truth = scene((1, A), (2, B), images=3)
    results = detections((1, A, 0.9), (1, B, 0.8), (2, FAR, 0.7)) + detections((1, A, 0.95), image=2)
    details = coco_details(truth, results)
    assert details.operating_points[0].score == 0.9
    assert details.confusions == ()
    assert details.worst == (ImageErrors("1.jpg", 1, 0, 1), ImageErrors("2.jpg", 0, 1, 0))
    results[1]["score"] = 0.99  # now above the threshold
    details = coco_details(truth, results, worst=1)
    assert details.confusions == (("dog", "cat", 1),)
    assert details.worst == (ImageErrors("1.jpg", 1, 1, 1),)


def test_no_detections_and_no_objects(truth: dict[str, Any]) -> None:
    for dataset, results in ((truth, []), ({**truth, "annotations": []}, detections((1, A, 0.5), image=10))):
        details = coco_details(GroundTruth.of(dataset), results)
        assert all(math.isnan(point.f1) for point in details.operating_points)
        assert details.confusions == ()
        json.dumps(details.to_dict(), allow_nan=False)


def test_array_of_detections_gives_the_same() -> None:
    dataset, results = synthetic_coco(20, 400, classes=3)
    truth = GroundTruth.of(dataset)
    table = np.array([(row["image_id"], *row["bbox"], row["score"], row["category_id"]) for row in results])
    assert repr(coco_details(truth, table)) == repr(coco_details(truth, results))


@pytest.mark.parametrize("kind", [*KINDS])
def test_operating_points_alone_are_those_of_the_details(kind: str) -> None:
    truth, results = KINDS[kind]
    points, expected = operating_points(truth, results), coco_details(truth, results).operating_points
    assert [str(point) for point in points] == [str(point) for point in expected]  # NaN differs from itself
    assert points[0].name == "all"


def test_without_detections_there_is_no_operating_point() -> None:
    assert not operating_points(scene((1, A)), np.zeros((0, 7)))[0].exists
