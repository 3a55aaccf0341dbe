from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.analysis.matching import COCO_RANGES, IOU_THRESHOLDS, match
from detkit.evaluation.analysis.weighted import Entries


@pytest.mark.parametrize("seed", range(2))
def test_matching_is_that_of_pycocotools(seed: int, difficult_scene: Any, pycocotools_evaluation: Any) -> None:
    truth, results = difficult_scene(seed=seed)
    results += [dict(results[0], score=float(score)) for score in np.linspace(0, 1, 120)]  # more than 100 of an image and class
    matching = match(truth, results, COCO_RANGES, IOU_THRESHOLDS)
    at = {int(row): index for index, row in enumerate(matching.row)}
    seen = 0
    for cell in filter(None, pycocotools_evaluation(truth, results).evalImgs):
        area = COCO_RANGES.index(tuple(cell["aRng"]))
        for column, detection in enumerate(cell["dtIds"]):
            index = at[detection - 1]
            ignored = cell["dtIgnore"][:, column].astype(bool)
            correct = (cell["dtMatches"][:, column] > 0) & ~ignored
            bits = 1 << np.arange(10)
            assert matching.correct[area, index] == bits[correct].sum()
            assert matching.ignored[area, index] == bits[ignored].sum()
            if area == 0:
                assert matching.target[index] == cell["dtMatches"][0, column] - 1
            seen += 1
    assert seen == 4 * len(matching.row)
    assert len(matching.dropped) == len(results) - len(matching.row) > 0


def test_unit_weights_give_the_metrics_of_pycocotools(difficult_scene: Any, pycocotools_evaluation: Any) -> None:
    truth, results = difficult_scene(images=8, detections=500)
    precision = pycocotools_evaluation(truth, results).eval["precision"]
    recall = pycocotools_evaluation(truth, results).eval["recall"]
    matching = match(truth, results, COCO_RANGES, IOU_THRESHOLDS)
    for area, limits in enumerate(COCO_RANGES):
        values = Entries.of(matching, area, limits, 10).evaluate(np.ones((8, 1)))[..., 0]
        expected = precision[..., area, 2].mean(1).T
        np.testing.assert_allclose(np.nan_to_num(values[:, 0], nan=-1.0), expected, atol=1e-12)
        np.testing.assert_array_equal(np.nan_to_num(values[:, 1], nan=-1.0), recall[..., area, 2].T)
    every = Entries.of(matching, 0, COCO_RANGES[0], 10)
    for limit in range(2):
        values = every.evaluate(np.ones((8, 1)))[:, 2 + limit, :, 0]
        np.testing.assert_array_equal(np.nan_to_num(values, nan=-1.0), recall[..., 0, limit].T)
    without = every.evaluate(np.array([[0, 1, 0, 0, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0, 0, 0], [0] * 8], np.float64).T)
    np.testing.assert_array_equal(without[..., 0], without[..., 1])
    assert np.isnan(without[..., 2]).all()


def test_matches_are_in_the_order_of_the_results_and_name_ignored_ones(difficult_scene: Any, table: Any) -> None:
    truth, results = difficult_scene()
    matches = Matches.of(truth, table(results))
    assert (np.diff(matches.row) > 0).all()
    assert sorted([*matches.row, *matches.ignored]) == list(range(len(results)))
    crowds = {row for row, annotation in enumerate(truth.annotations) if annotation["iscrowd"]}
    assert matches.correct.any()
    assert not crowds & set(matches.target.tolist())
    for row, target, iou, box in zip(matches.row, matches.target, matches.iou, matches.boxes, strict=True):
        found = results[row]
        assert box[2] == found["bbox"][0] + found["bbox"][2]
        if target >= 0:
            assert truth.annotations[target]["image_id"] == found["image_id"]
            assert truth.annotations[target]["category_id"] == found["category_id"]
            assert iou >= 0.5
        else:
            assert iou == 0
