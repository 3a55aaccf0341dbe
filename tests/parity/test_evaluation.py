"""Evaluation against pycocotools on thousands of random scenes, against published numbers, and against a plain VOC program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detkit.evaluation import COCO_NAMES, evaluate_coco, evaluate_voc
from detkit.evaluation.coco import coco_numbers
from detkit.evaluation.engines import Curves, curves
from detkit.evaluation.files import evaluate_coco_files
from detkit.evaluation.ground_truth import GroundTruth

Scene = tuple[dict[str, Any], list[dict[str, Any]]]


def random_data(rng: np.random.Generator, images: int) -> Scene:
    """A small data set: whole-pixel boxes and few scores (ties), crowds, empty images, empty classes, images with 130 detections."""
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
    here = [row for row in truth if row["image_id"] == image_id]
    if here and rng.random() < 0.7:
        near = here[int(rng.integers(len(here)))]
        box = np.maximum(np.array(near["bbox"]) + rng.integers(-3, 4, 4), [-9, -9, 1, 1]).tolist()
        category = near["category_id"] if rng.random() < 0.85 else category
    return {"image_id": image_id, "category_id": category, "bbox": box, "score": int(rng.integers(1, levels + 1)) / levels}


def assert_engines_agree(scene: Scene) -> None:
    truth = GroundTruth.of(scene[0])
    ours, reference = (curves(truth, scene[1], evaluator) for evaluator in ("hotcoco", "pycocotools"))
    for name in ("precision", "recall", "scores"):
        np.testing.assert_allclose(getattr(ours, name), getattr(reference, name), rtol=0, atol=1e-9, err_msg=name)
    assert (ours.category_ids, ours.detections) == (reference.category_ids, reference.detections)
    numbers, wanted = coco_numbers(truth, ours, "hotcoco"), coco_numbers(truth, reference, "pycocotools")
    torch.testing.assert_close(dict(numbers.values), dict(wanted.values), rtol=0, atol=1e-9, equal_nan=True)
    assert repr(numbers.classes) == repr(wanted.classes)


@pytest.mark.parametrize("seed", range(10))
def test_hotcoco_equals_pycocotools_on_random_scenes(seed: int) -> None:
    """2,000 scenes: 8 data sets of 25 images a seed."""
    rng = np.random.default_rng(seed)
    for _ in range(8):
        assert_engines_agree(random_data(rng, images=25))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_hotcoco_equals_pycocotools_on_many_more_random_scenes(seed: int) -> None:
    """30,000 scenes: 50 data sets of 30 images a seed."""
    rng = np.random.default_rng(seed)
    for _ in range(50):
        assert_engines_agree(random_data(rng, images=30))


def test_random_scenes_hold_what_they_should() -> None:
    rng = np.random.default_rng(0)
    scenes = [random_data(rng, images=6) for _ in range(60)]
    found: set[str] = set()
    for truth, results in scenes:
        per_image = {row["id"]: [r for r in results if r["image_id"] == row["id"]] for row in truth["images"]}
        kinds = {
            "crowds": any(row["iscrowd"] for row in truth["annotations"]),
            "ties": len({row["score"] for row in results}) < len(results),
            "empty images": any(not rows for rows in per_image.values()),
            "images without objects": len({row["image_id"] for row in truth["annotations"]}) < len(truth["images"]),
            "more than 100 detections": any(len(rows) > 100 for rows in per_image.values()),
            "empty classes": {row["category_id"] for row in truth["annotations"]} != {row["id"] for row in truth["categories"]},
            "found": evaluate_coco(truth, results).ap > 0,
        }
        found |= {kind for kind, holds in kinds.items() if holds}
    assert found == kinds.keys()


def test_the_twelve_numbers_are_those_that_pycocotools_prints() -> None:
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
    for place, file in enumerate(sorted((folder / "gts").glob("*.txt"))):
        truth["images"].append({"id": place})
        for line in file.read_text().splitlines():
            truth["annotations"].append({"image_id": place, "category_id": 1, "bbox": inclusive(line.split()[1:])})
        for line in (folder / "dets" / file.name).read_text().splitlines():
            results.append({"image_id": place, "category_id": 1, "score": float(line.split()[1]), "bbox": inclusive(line.split()[2:])})
    return truth, results


def inclusive(words: list[str]) -> list[float]:
    left, top, width, height = map(float, words)
    return [left, top, width + 1, height + 1]


@pytest.mark.parametrize(("rule", "key"), [("11-point", "eleven_point"), ("all-point", "all_point")])
def test_published_voc_case(shared: Path, rule: Any, key: str) -> None:
    folder = shared / "eval" / "voc_case1"
    expected = {float(overlap): ap for overlap, ap in json.loads((folder / "expected.json").read_text())[key].items()}
    numbers = evaluate_voc(*read_voc_case(folder), rule, tuple(expected))
    assert len(numbers.overlaps) == 4
    assert dict(zip(numbers.overlaps, numbers.values, strict=True)) == pytest.approx(expected, abs=1e-9)


def plain_voc(truth: dict[str, Any], results: list[dict[str, Any]], category: int, rule: str, min_overlap: float) -> float:
    """The development kit's loop, line by line, on inclusive pixels: ``xmin ymin xmax ymax`` with + 1."""
    objects: dict[int, list[dict[str, Any]]] = {row["id"]: [] for row in truth["images"]}
    for row in truth["annotations"]:
        if row["category_id"] == category:
            objects[row["image_id"]].append({"box": kit_box(row["bbox"]), "difficult": row["difficult"] or row["iscrowd"], "taken": False})
    count = sum(not thing["difficult"] for things in objects.values() for thing in things)
    rows = sorted((row for row in results if row["category_id"] == category), key=lambda row: -row["score"])
    right, wrong = [], []
    for row in rows:
        best, most = None, -1.0
        for thing in objects[row["image_id"]]:
            overlap = kit_overlap(kit_box(row["bbox"]), thing["box"])
            if overlap > most:
                best, most = thing, overlap
        hit = best is not None and most >= min_overlap
        right.append(bool(hit and not best["difficult"] and not best["taken"]))
        wrong.append(not hit or (not best["difficult"] and best["taken"]))
        if hit:
            best["taken"] = True
    if not count:
        return float("nan")
    return kit_ap(np.cumsum(right) / count, np.cumsum(right), np.cumsum(wrong), rule)


def kit_ap(recall: Any, right: Any, wrong: Any, rule: str) -> float:
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(right / (right + wrong))
    if rule == "11-point":
        return sum(max([p for r, p in zip(recall, precision, strict=True) if r >= at], default=0.0) / 11 for at in np.arange(0, 1.1, 0.1))
    mrec, mpre = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    return sum((mrec[i + 1] - mrec[i]) * mpre[i + 1] for i in range(len(mrec) - 1))


def kit_box(box: list[float]) -> tuple[float, float, float, float]:
    """A continuous x, y, width, height as the kit's files have it: 1-based corners, both inside."""
    return box[0] + 1, box[1] + 1, box[0] + box[2], box[1] + box[3]


def kit_overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


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
            wanted = [float("nan")] * 3 if np.isnan(expected).all() else np.nanmean(expected, axis=0)
            np.testing.assert_allclose(numbers.values, wanted, rtol=0, atol=1e-12)


def test_curves_have_their_documented_shapes() -> None:
    truth, results = random_data(np.random.default_rng(1), images=3)
    found: Curves = curves(GroundTruth.of(truth), results, "hotcoco")
    classes = len(truth["categories"])
    assert found.precision.shape == found.scores.shape == (10, 101, classes, 4, 3)
    assert found.recall.shape == (10, classes, 4, 3)
