from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detkit.evaluation.coco import evaluate_coco
from detkit.evaluation.compare import differences
from detkit.evaluation.ground_truth import GroundTruth

IMAGES, DRAWS = 25, 150


def scene(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    images = [{"id": number + 1, "file_name": f"{number}.jpg", "width": 100, "height": 100} for number in range(IMAGES)]
    rows = []
    for image in images:
        for _ in range(int(rng.integers(1, 5))):
            box = [*rng.uniform(0, 50, 2).tolist(), *rng.uniform(20, 50, 2).tolist()]
            rows.append({"id": len(rows) + 1, "image_id": image["id"], "category_id": int(rng.integers(1, 3)), "bbox": box})
    return {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}


def shaken(truth: dict[str, Any], by: float, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "bbox": [float(value + rng.normal(0, by)) for value in row["bbox"]],
            "score": float(rng.uniform()),
        }
        for row in truth["annotations"]
    ]


def drawn(truth: dict[str, Any], results: list[dict[str, Any]], order: list[int]) -> float:
    """AP on images of which each stands in ``order`` as often as it was drawn, under a number of its own each time."""
    images, rows, found = [], [], []
    for place, image_id in enumerate(order, 1):
        images.append({**truth["images"][image_id - 1], "id": place, "file_name": f"{place}.jpg"})
        for row in truth["annotations"]:
            if row["image_id"] == image_id:
                rows.append({**row, "image_id": place, "id": len(rows) + 1})
        found += [{**row, "image_id": place} for row in results if row["image_id"] == image_id]
    return evaluate_coco({**truth, "images": images, "annotations": rows}, found).ap


def test_intervals_are_those_of_judging_drawn_images_again() -> None:
    truth = scene()
    good, bad = shaken(truth, 1.5, 1), shaken(truth, 3.0, 2)
    row = next(row for row in differences(GroundTruth.of(truth), good, bad, draws=4000) if row.name == "AP")
    assert row.own == pytest.approx(evaluate_coco(truth, good).ap)
    assert row.value == pytest.approx(evaluate_coco(truth, good).ap - evaluate_coco(truth, bad).ap)
    assert row.sure
    rng = np.random.default_rng(5)
    orders = [rng.integers(1, IMAGES + 1, IMAGES).tolist() for _ in range(DRAWS)]
    found = [drawn(truth, good, order) - drawn(truth, bad, order) for order in orders]
    low, high = np.percentile(found, (2.5, 97.5))
    width = high - low
    assert row.low == pytest.approx(low, abs=0.25 * width)
    assert row.high == pytest.approx(high, abs=0.25 * width)


def test_the_better_one_stands_first_or_last() -> None:
    truth = scene()
    good, bad = shaken(truth, 1.0, 1), shaken(truth, 4.0, 2)
    there, back = (differences(GroundTruth.of(truth), *pair, draws=200) for pair in ((good, bad), (bad, good)))
    for one, other in zip(there, back, strict=True):
        assert one.value == -other.value
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.02)
    assert next(row for row in there if row.name == "AP").low > 0


def test_a_detector_against_itself_differs_by_nothing() -> None:
    truth = scene()
    found = shaken(truth, 2.0, 1)
    for row in differences(GroundTruth.of(truth), found, found, draws=50):
        assert (row.value, row.low, row.high, row.sure) == (0, 0, 0, False)


def test_numbers_without_objects_are_left_out_and_nothing_found_is_0() -> None:
    truth = scene()
    rows = {row.name: row for row in differences(GroundTruth.of(truth), shaken(truth, 1.0, 1), [], draws=50)}
    assert "APl" not in rows  # no side is over 50 pixels
    assert rows["AP"].other == 0
    assert rows["AP"].value == rows["AP"].own > 0


def test_no_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one draw, got 0"):
        differences(GroundTruth.of(scene()), [], [], draws=0)
