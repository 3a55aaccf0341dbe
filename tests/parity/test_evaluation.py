"""Evaluation compared with pycocotools on thousands of random scenes, with published numbers, and with a plain VOC program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detkit.evaluation import COCO_NAMES, evaluate_coco, evaluate_voc
from detkit.evaluation.coco import coco_numbers
from detkit.evaluation.coco_curves import Curves, curves
from detkit.evaluation.files import evaluate_coco_files
from detkit.evaluation.ground_truth import GroundTruth

Scene = tuple[dict[str, Any], list[dict[str, Any]]]


def random_data(rng: np.random.Generator, images: int) -> Scene:
    """A small data set with integer boxes, few distinct scores (ties), crowds, empty images and classes, and images with 130 detections."""
    classes = int(rng.integers(1, 5))
    image_ids = rng.permutation(1000)[:images].tolist()
    category_ids = sorted(rng.permutation(90)[: classes + 1].tolist())  # the last one is never in the ground truth
    truth: dict[str, Any] = {"images": [{"id": i} for i in image_ids], "annotations": []}
    truth["categories"] = [{"id": c, "name": f"class {c}"} for c in category_ids]
    results = []
    levels = int(rng.choice([3, 20, 10_000]))
    for image_id in image_ids:
        for _ in range(int(rng.choice([0, 0, 1, 3, 8]))):
            box, category = random_box(rng), int(rng.choice(category_ids[:-1]))
            row = {"image_id": image_id, "category_id": category, "bbox": box, "iscrowd": int(rng.random() < 0.15)}
            area = box[2] * box[3] * float(rng.choice([1, 1, 0.5]))
            truth["annotations"].append({"id": len(truth["annotations"]) + 1, "area": area, **row})
        for _ in range(int(rng.choice([0, 2, 6, 15, 15, 130], p=[0.2, 0.2, 0.2, 0.2, 0.15, 0.05]))):
            results.append(random_detection(rng, image_id, category_ids, truth["annotations"], levels))
    return truth, results


def random_box(rng: np.random.Generator) -> list[int]:
    side = float(rng.choice([20, 60, 200]))
    return [*rng.integers(0, 100, 2).tolist(), *(1 + rng.integers(1, side, 2)).tolist()]


def random_detection(rng: np.random.Generator, image_id: int, category_ids: list[int], truth: list[Any], levels: int) -> dict[str, Any]:
    box, category = random_box(rng), int(rng.choice(category_ids))
    rows = [row for row in truth if row["image_id"] == image_id]
    if rows and rng.random() < 0.7:
        near = rows[int(rng.integers(len(rows)))]
        box = np.maximum(np.array(near["bbox"]) + rng.integers(-3, 4, 4), [-9, -9, 1, 1]).tolist()
        category = near["category_id"] if rng.random() < 0.85 else category
    return {"image_id": image_id, "category_id": category, "bbox": box, "score": int(rng.integers(1, levels + 1)) / levels}


def assert_evaluators_agree(scene: Scene) -> None:
    truth = GroundTruth.of(scene[0])
    result, reference = (curves(truth, scene[1], evaluator) for evaluator in ("hotcoco", "pycocotools"))
    for name in ("precision", "recall", "scores"):
        np.testing.assert_allclose(getattr(result, name), getattr(reference, name), rtol=0, atol=1e-9, err_msg=name)
    assert (result.category_ids, result.detections) == (reference.category_ids, reference.detections)
    numbers, expected = coco_numbers(truth, result, "hotcoco"), coco_numbers(truth, reference, "pycocotools")
    torch.testing.assert_close(dict(numbers.values), dict(expected.values), rtol=0, atol=1e-9, equal_nan=True)
    assert repr(numbers.classes) == repr(expected.classes)


@pytest.mark.oracle("pycocotools", "COCO metrics, curves and per-class AP, 2,000 random scenes per seed", tolerance="1e-9")
@pytest.mark.parametrize("seed", range(10))
def test_hotcoco_equals_pycocotools_on_random_scenes(seed: int) -> None:
    """2,000 scenes: 8 data sets of 25 images per seed."""
    rng = np.random.default_rng(seed)
    for _ in range(8):
        assert_evaluators_agree(random_data(rng, images=25))


@pytest.mark.oracle("pycocotools", "COCO metrics, curves and per-class AP, 15,000 random scenes per seed", tolerance="1e-9")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_hotcoco_equals_pycocotools_on_many_more_random_scenes(seed: int) -> None:
    """15,000 scenes: 50 data sets of 30 images per seed."""
    rng = np.random.default_rng(seed)
    for _ in range(50):
        assert_evaluators_agree(random_data(rng, images=30))


def test_random_scenes_cover_all_cases() -> None:
    rng = np.random.default_rng(0)
    scenes = [random_data(rng, images=6) for _ in range(60)]
    seen: set[str] = set()
    for truth, results in scenes:
        per_image = {row["id"]: [r for r in results if r["image_id"] == row["id"]] for row in truth["images"]}
        kinds = {
            "crowds": any(row["iscrowd"] for row in truth["annotations"]),
            "ties": len({row["score"] for row in results}) < len(results),
            "empty images": any(not rows for rows in per_image.values()),
            "images without objects": len({row["image_id"] for row in truth["annotations"]}) < len(truth["images"]),
            "more than 100 detections": any(len(rows) > 100 for rows in per_image.values()),
            "empty classes": {row["category_id"] for row in truth["annotations"]} != {row["id"] for row in truth["categories"]},
            "true positives": evaluate_coco(truth, results).ap > 0,
        }
        seen |= {kind for kind, present in kinds.items() if present}
    assert seen == kinds.keys()


@pytest.mark.oracle("pycocotools", "the twelve COCO metrics", tolerance="1e-12")
def test_the_twelve_metrics_equal_those_of_pycocotools() -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, results = random_data(np.random.default_rng(3), images=40)
    reference = COCO()
    reference.dataset = truth
    reference.createIndex()
    evaluation = COCOeval(reference, reference.loadRes([dict(row) for row in results]), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert list(evaluate_coco(truth, results).values.values()) == pytest.approx(evaluation.stats.tolist(), abs=1e-12)


@pytest.mark.oracle(
    "published COCO numbers",
    "the twelve COCO metrics of a published case of 100 images",
    tolerance="1e-6",
    version="the numbers of the published case",
)
@pytest.mark.parametrize("evaluator", ["hotcoco", "pycocotools"])
def test_published_case_of_100_images(shared: Path, evaluator: Any) -> None:
    folder = shared / "eval" / "coco_fake100"
    expected = json.loads((folder / "expected.json").read_text())
    numbers = evaluate_coco_files(folder / "ground_truth.json", folder / "detections.json", evaluator)
    assert expected.keys() == COCO_NAMES.keys()
    torch.testing.assert_close(dict(numbers.values), expected, rtol=0, atol=1e-6)
    assert (numbers.counts.images, numbers.counts.boxes, numbers.counts.detections) == (100, 830, 734)


def read_voc_case(folder: Path) -> Scene:
    truth: dict[str, Any] = {"images": [], "categories": [{"id": 1, "name": "object"}], "annotations": []}
    results = []
    for index, file in enumerate(sorted((folder / "gts").glob("*.txt"))):
        truth["images"].append({"id": index})
        for line in file.read_text().splitlines():
            truth["annotations"].append({"image_id": index, "category_id": 1, "bbox": inclusive(line.split()[1:])})
        for line in (folder / "dets" / file.name).read_text().splitlines():
            results.append({"image_id": index, "category_id": 1, "score": float(line.split()[1]), "bbox": inclusive(line.split()[2:])})
    return truth, results


def inclusive(words: list[str]) -> list[float]:
    left, top, width, height = map(float, words)
    return [left, top, width + 1, height + 1]


@pytest.mark.oracle(
    "published VOC numbers",
    "AP of Pascal VOC, both rules, of a published case",
    tolerance="1e-9",
    version="the numbers of the published case",
)
@pytest.mark.parametrize(("rule", "key"), [("11-point", "eleven_point"), ("all-point", "all_point")])
def test_published_voc_case(shared: Path, rule: Any, key: str) -> None:
    folder = shared / "eval" / "voc_case1"
    expected = {float(iou): ap for iou, ap in json.loads((folder / "expected.json").read_text())[key].items()}
    numbers = evaluate_voc(*read_voc_case(folder), rule, tuple(expected))
    assert len(numbers.iou_thresholds) == 4
    assert dict(zip(numbers.iou_thresholds, numbers.values, strict=True)) == pytest.approx(expected, abs=1e-9)


def plain_voc(truth: dict[str, Any], results: list[dict[str, Any]], category: int, rule: str, min_iou: float) -> float:
    """The loop of the VOC development kit on inclusive pixels: ``xmin ymin xmax ymax`` with + 1."""
    objects: dict[int, list[dict[str, Any]]] = {row["id"]: [] for row in truth["images"]}
    for row in truth["annotations"]:
        if row["category_id"] == category:
            objects[row["image_id"]].append(
                {"box": kit_box(row["bbox"]), "difficult": row["difficult"] or row["iscrowd"], "matched": False}
            )
    count = sum(not row["difficult"] for rows in objects.values() for row in rows)
    rows = sorted((row for row in results if row["category_id"] == category), key=lambda row: -row["score"])
    true_positives, false_positives = [], []
    for row in rows:
        best, best_iou = None, -1.0
        for target in objects[row["image_id"]]:
            iou = kit_iou(kit_box(row["bbox"]), target["box"])
            if iou > best_iou:
                best, best_iou = target, iou
        hit = best is not None and best_iou >= min_iou
        true_positives.append(bool(hit and not best["difficult"] and not best["matched"]))
        false_positives.append(not hit or (not best["difficult"] and best["matched"]))
        if hit:
            best["matched"] = True
    if not count:
        return float("nan")
    return kit_ap(np.cumsum(true_positives) / count, np.cumsum(true_positives), np.cumsum(false_positives), rule)


def kit_ap(recall: Any, true_positives: Any, false_positives: Any, rule: str) -> float:
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(true_positives / (true_positives + false_positives))
    if rule == "11-point":
        return sum(max([p for r, p in zip(recall, precision, strict=True) if r >= at], default=0.0) / 11 for at in np.arange(0, 1.1, 0.1))
    mrec, mpre = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    return sum((mrec[i + 1] - mrec[i]) * mpre[i + 1] for i in range(len(mrec) - 1))


def kit_box(box: list[float]) -> tuple[float, float, float, float]:
    """Convert a continuous x, y, width, height to the kit's convention: 1-based inclusive corners."""
    return box[0] + 1, box[1] + 1, box[0] + box[2], box[1] + box[3]


def kit_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.oracle(
    "VOC development kit",
    "AP of Pascal VOC, both rules, on random scenes",
    tolerance="1e-12",
    version="a plain program of its rules, written for the test",
)
@pytest.mark.parametrize("seed", range(20))
def test_voc_equals_the_development_kit_on_random_scenes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(10):
        truth, results = random_data(rng, images=6)
        for row in truth["annotations"]:
            row["difficult"] = int(rng.random() < 0.3)
        for rule in ("11-point", "all-point"):
            numbers = evaluate_voc(truth, results, rule, (0.3, 0.5, 0.75))
            expected = [[plain_voc(truth, results, row.category_id, rule, at) for at in (0.3, 0.5, 0.75)] for row in numbers.classes]
            np.testing.assert_allclose([row.ap for row in numbers.classes], expected, rtol=0, atol=1e-12)
            expected_means = [float("nan")] * 3 if np.isnan(expected).all() else np.nanmean(expected, axis=0)
            np.testing.assert_allclose(numbers.values, expected_means, rtol=0, atol=1e-12)


def test_curves_have_their_documented_shapes() -> None:
    truth, results = random_data(np.random.default_rng(1), images=3)
    result: Curves = curves(GroundTruth.of(truth), results, "hotcoco")
    classes = len(truth["categories"])
    assert result.precision.shape == result.scores.shape == (10, 101, classes, 4, 3)
    assert result.recall.shape == (10, classes, 4, 3)
