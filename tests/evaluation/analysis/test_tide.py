from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detkit.evaluation.analysis.tide import ERRORS, tide_errors
from detkit.evaluation.files import read_ground_truth, read_results
from detkit.evaluation.ground_truth import GroundTruth

FROZEN = json.loads((Path(__file__).parent / "fixtures" / "tide.json").read_text("utf-8"))
"""Counts and costs of tidecv 1.0.1, written by ``fixtures/make_tide.py``."""


def check(errors: dict[str, tuple[int, float]], expected: dict[str, list[float]]) -> None:
    assert {kind: count for kind, (count, _) in errors.items()} == {kind: expected[kind][0] for kind in ERRORS}
    for kind, (_, cost) in errors.items():
        assert cost == pytest.approx(expected[kind][1], abs=1e-9), kind


@pytest.mark.oracle(
    "tidecv", "TIDE errors of a published case of 100 images", tolerance="counts equal, costs 1e-9", version="1.0.1, outputs frozen"
)
def test_errors_of_coco_samples_are_those_of_tidecv(shared: Path) -> None:
    folder = shared / "eval" / "coco_fake100"
    truth = read_ground_truth(folder / "ground_truth.json")
    check(tide_errors(truth, read_results(folder / "detections.json", truth)), FROZEN["coco_fake100"])


@pytest.mark.oracle(
    "tidecv", "TIDE errors with crowds and equal scores", tolerance="counts equal, costs 1e-9", version="1.0.1, outputs frozen"
)
def test_errors_with_crowds_and_equal_scores_are_those_of_tidecv(difficult_scene: Any, table: Any) -> None:
    truth, results = difficult_scene(**FROZEN["scene_arguments"])
    assert all(count for count, _ in FROZEN["scene"].values())
    check(tide_errors(truth, results), FROZEN["scene"])
    assert tide_errors(truth, table(results)) == tide_errors(truth, results)


def test_no_detections_and_no_objects(difficult_scene: Any) -> None:
    truth, results = difficult_scene()
    objects = truth.boxes_by_class()[0].total()
    assert tide_errors(truth, []) == {**dict.fromkeys(ERRORS, (0, 0.0)), "Miss": (objects, 0.0)}
    empty = GroundTruth(truth.name, truth.image_ids, truth.categories, ())
    errors = tide_errors(empty, results)
    assert errors["Bkg"][0] == len(results)
    assert all(np.isfinite(cost) for _, cost in errors.values())
