from __future__ import annotations

import contextlib
import io
import json
import math
from typing import Any

import numpy as np
import pytest

from detkit.evaluation.details import ERRORS, ImageErrors, OperatingPoint, coco_details
from detkit.evaluation.generated import generated
from detkit.evaluation.ground_truth import GroundTruth

A, B, FAR = [0, 0, 10, 10], [50, 50, 10, 10], [200, 200, 10, 10]


def scene(*objects: tuple[int, list[int]], images: int = 1) -> GroundTruth:
    rows = [{"image_id": 1, "category_id": category, "bbox": box} for category, box in objects]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    photos = [{"id": i + 1, "file_name": f"{i + 1}.jpg"} for i in range(images)]
    return GroundTruth.of({"images": photos, "categories": categories, "annotations": rows})


def found(*rows: tuple[int, list[int], float], image: int = 1) -> list[dict[str, Any]]:
    return [{"image_id": image, "category_id": category, "bbox": box, "score": score} for category, box, score in rows]


KINDS = {
    "Cls": (scene((1, A), (2, B)), found((1, A, 0.9), (1, B, 0.8))),
    "Loc": (scene((1, A), (1, B)), found((1, A, 0.9), (1, [50, 57, 10, 10], 0.8))),
    "Both": (scene((1, A), (2, B)), found((1, A, 0.8), (1, [50, 57, 10, 10], 0.9))),
    "Dupe": (scene((1, A), (1, B)), found((1, A, 0.9), (1, A, 0.8), (1, B, 0.7))),
    "Bkg": (scene((1, A), (1, B)), found((1, A, 0.9), (1, FAR, 0.8), (1, B, 0.7))),
    "Miss": (scene((1, A), (1, B)), found((1, A, 0.9))),
}


@pytest.mark.parametrize("kind", [*KINDS])
def test_each_kind_of_error_is_told_with_what_it_costs(kind: str) -> None:
    truth, results = KINDS[kind]
    errors = coco_details(truth, results).errors
    assert errors.keys() == ERRORS.keys()
    assert errors[kind][0] == 1
    assert errors[kind][1] > 0.1
    others = {name: count for name, (count, _) in errors.items() if name not in {kind, "Miss"}}
    assert set(others.values()) == {0}


@pytest.mark.parametrize(("kind", "ap50"), [("Loc", 51 / 101), ("Miss", 51 / 101), ("Cls", 0.5)])
def test_an_error_that_is_the_only_one_costs_what_is_missing_to_1(kind: str, ap50: float) -> None:
    truth, results = KINDS[kind]
    assert coco_details(truth, results).errors[kind][1] == pytest.approx(1 - ap50)


def test_the_best_score_to_cut_at() -> None:
    truth = scene((1, A), (1, B), (2, FAR))
    results = found((1, A, 0.9), (1, B, 0.6), (1, FAR, 0.6), (1, [100, 0, 9, 9], 0.3), (2, [100, 0, 9, 9], 0.7))
    everything, cat, dog = coco_details(truth, results).cuts
    assert cat == OperatingPoint("cat", 0.6, pytest.approx(2 / 3), 1.0, pytest.approx(0.8))  # the two at .6 are kept or cut together
    assert dog.name == "dog"
    assert all(math.isnan(value) for value in (dog.score, dog.precision, dog.recall, dog.f1))
    assert everything == OperatingPoint("all", 0.6, pytest.approx(2 / 4), pytest.approx(2 / 3), pytest.approx(4 / 7))


def plain_cuts(truth: GroundTruth, results: list[dict[str, Any]], category_id: int) -> tuple[float, float]:
    """Best F1 and its score by trying every score, with pycocotools' matching of what is then left."""
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
            right = sum(int(((row["dtMatches"][0] > 0) & ~row["dtIgnore"][0].astype(bool)).sum()) for row in rows)
            objects = sum(int((np.array(row["gtIgnore"]) == 0).sum()) for row in rows)
            best = max(best, (2 * right / (counted + objects), score))
    return best


def test_cuts_are_the_best_of_all_that_could_be_tried() -> None:
    dataset, results = generated(6, 60, classes=2, seed=4)
    for row in dataset["annotations"][::9]:
        row["iscrowd"] = 1
    for row in results:
        row["score"] = round(row["score"], 1)
    truth = GroundTruth.of(dataset)
    for cut, category_id in zip(coco_details(truth, results).cuts[1:], truth.categories, strict=True):
        f1, score = plain_cuts(truth, results, category_id)
        assert f1 > 0
        assert (cut.f1, cut.score) == (pytest.approx(f1), score)


def test_what_was_taken_for_what_and_the_worst_images() -> None:
    truth = scene((1, A), (2, B), images=3)
    results = found((1, A, 0.9), (1, B, 0.8), (2, FAR, 0.7)) + found((1, A, 0.95), image=2)
    details = coco_details(truth, results)
    assert details.cuts[0].score == 0.9
    assert details.confused == ()
    assert details.worst == (ImageErrors("1.jpg", 1, 0, 1), ImageErrors("2.jpg", 0, 1, 0))
    results[1]["score"] = 0.99  # above the cut now
    details = coco_details(truth, results, worst=1)
    assert details.confused == (("dog", "cat", 1),)
    assert details.worst == (ImageErrors("1.jpg", 1, 1, 1),)


def test_nothing_found_and_nothing_to_find(truth: dict[str, Any]) -> None:
    for dataset, results in ((truth, []), ({**truth, "annotations": []}, found((1, A, 0.5), image=10))):
        details = coco_details(GroundTruth.of(dataset), results)
        assert all(math.isnan(cut.f1) for cut in details.cuts)
        assert details.confused == ()
        json.dumps(details.to_dict(), allow_nan=False)


def test_an_array_of_detections_gives_the_same() -> None:
    dataset, results = generated(20, 400, classes=3)
    truth = GroundTruth.of(dataset)
    table = np.array([(row["image_id"], *row["bbox"], row["score"], row["category_id"]) for row in results])
    assert repr(coco_details(truth, table)) == repr(coco_details(truth, results))
