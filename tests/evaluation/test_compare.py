from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detkit.evaluation.coco import evaluate_coco
from detkit.evaluation.compare import differences
from detkit.evaluation.ground_truth import GroundTruth

IMAGES, RESAMPLES = 25, 150


def scene(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    images = [{"id": number + 1, "file_name": f"{number}.jpg", "width": 100, "height": 100} for number in range(IMAGES)]
    rows = []
    for image in images:
        for _ in range(int(rng.integers(1, 5))):
            box = [*rng.uniform(0, 50, 2).tolist(), *rng.uniform(20, 50, 2).tolist()]
            rows.append({"id": len(rows) + 1, "image_id": image["id"], "category_id": int(rng.integers(1, 3)), "bbox": box})
    return {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}


def jittered(truth: dict[str, Any], sigma: float, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "bbox": [float(value + rng.normal(0, sigma)) for value in row["bbox"]],
            "score": float(rng.uniform()),
        }
        for row in truth["annotations"]
    ]


def resampled_ap(truth: dict[str, Any], results: list[dict[str, Any]], order: list[int]) -> float:
    """Return the AP on resampled images: each occurrence of an image in ``order`` becomes an image with its own id."""
    images, rows, detections = [], [], []
    for new_id, image_id in enumerate(order, 1):
        images.append({**truth["images"][image_id - 1], "id": new_id, "file_name": f"{new_id}.jpg"})
        for row in truth["annotations"]:
            if row["image_id"] == image_id:
                rows.append({**row, "image_id": new_id, "id": len(rows) + 1})
        detections += [{**row, "image_id": new_id} for row in results if row["image_id"] == image_id]
    return evaluate_coco({**truth, "images": images, "annotations": rows}, detections).ap


def test_intervals_match_a_plain_bootstrap() -> None:
    truth = scene()
    good, bad = jittered(truth, 1.5, 1), jittered(truth, 3.0, 2)
    row = next(row for row in differences(GroundTruth.of(truth), good, bad, resamples=4000) if row.name == "AP")
    assert row.own == pytest.approx(evaluate_coco(truth, good).ap)
    assert row.value == pytest.approx(evaluate_coco(truth, good).ap - evaluate_coco(truth, bad).ap)
    assert row.is_significant
    rng = np.random.default_rng(5)
    orders = [rng.integers(1, IMAGES + 1, IMAGES).tolist() for _ in range(RESAMPLES)]
    samples = [resampled_ap(truth, good, order) - resampled_ap(truth, bad, order) for order in orders]
    low, high = np.percentile(samples, (2.5, 97.5))
    width = high - low
    assert row.low == pytest.approx(low, abs=0.25 * width)
    assert row.high == pytest.approx(high, abs=0.25 * width)


def test_swapping_the_detectors_changes_the_sign() -> None:
    truth = scene()
    good, bad = jittered(truth, 1.0, 1), jittered(truth, 4.0, 2)
    forward, backward = (differences(GroundTruth.of(truth), *pair, resamples=200) for pair in ((good, bad), (bad, good)))
    for one, other in zip(forward, backward, strict=True):
        assert one.value == -other.value
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.02)
    assert next(row for row in forward if row.name == "AP").low > 0


def test_comparison_with_itself_is_0() -> None:
    truth = scene()
    detections = jittered(truth, 2.0, 1)
    for row in differences(GroundTruth.of(truth), detections, detections, resamples=50):
        assert (row.value, row.low, row.high, row.is_significant) == (0, 0, 0, False)


def test_metrics_without_objects_are_omitted_and_no_detections_give_0() -> None:
    truth = scene()
    rows = {row.name: row for row in differences(GroundTruth.of(truth), jittered(truth, 1.0, 1), [], resamples=50)}
    assert "APl" not in rows  # no side is longer than 50 pixels
    assert rows["AP"].other == 0
    assert rows["AP"].value == rows["AP"].own > 0


def test_resamples_must_be_positive() -> None:
    with pytest.raises(ValueError, match="resamples: expected at least 1, got 0"):
        differences(GroundTruth.of(scene()), [], [], resamples=0)
