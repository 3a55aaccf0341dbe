from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detkit.evaluation.analysis import analyze
from detkit.evaluation.coco import evaluate_coco
from detkit.evaluation.details import coco_details
from detkit.evaluation.ground_truth import GroundTruth


def test_parts_agree_with_the_evaluation_and_the_details(difficult_scene: Any, table: Any) -> None:
    truth, results = difficult_scene(images=20, detections=400, detected=0.8)
    found, details = analyze(truth, results, resamples=20), coco_details(truth, results)
    assert json.dumps(found.numbers.to_dict()) == json.dumps(evaluate_coco(truth.to_dict(), results).to_dict())
    assert str(found.operating_points) == str(details.operating_points)  # NaN differs from itself
    assert found.score == details.operating_points[0].score
    assert found.tide == details.errors
    off_diagonal = [cell for cell in found.confusion.cells if None not in {cell.true_class, cell.detected_class}]
    names = truth.categories
    confusions = {(names[cell.true_class], names[cell.detected_class], cell.count) for cell in off_diagonal}  # type: ignore[index]
    assert set(details.confusions) == {row for row in confusions if row[0] != row[1]}
    assert [(row.image, row.wrong) for row in details.worst] == [(row.name, row.wrong) for row in found.images[:20]]
    assert json.dumps(analyze(truth, table(results), resamples=20).to_dict()) == json.dumps(found.to_dict())


def test_dict_is_json_with_all_digits_and_cut_lists(difficult_scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.evaluation.analysis.analysis.MAX_LISTED", 5)
    truth, results = difficult_scene(detected=0.8)
    found = analyze(truth, results, resamples=20)
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["intervals"]["metrics"]["AP"] == {"low": found.intervals.metrics["AP"].low, "high": found.intervals.metrics["AP"].high}
    assert content["curves"][1]["precision_50"] == found.curves[1].precision_50.tolist()
    assert content["curves"][4]["precision_50"] is None
    assert len(content["mistakes"]) == 5 < len(found.mistakes)
    assert sum(content["cases"].values()) == len(found.cases)
    assert content["confusion"]["cells"][0]["count"] == found.confusion.cells[0].count


@pytest.mark.parametrize("kind", ["no detections", "no objects", "nothing", "one image", "only crowds"])
def test_edge_cases(kind: str, difficult_scene: Any) -> None:
    truth, results = difficult_scene(images=1 if kind == "one image" else 4, detections=40, classes=1)
    if kind in {"no objects", "nothing"}:
        truth = replace(truth, annotations=())
    if kind == "only crowds":
        truth = GroundTruth.of({**truth.to_dict(), "annotations": [{**row, "iscrowd": 1} for row in truth.annotations]})
    found = analyze(truth, [] if kind in {"no detections", "nothing"} else results, resamples=10)
    content = found.to_dict()
    json.dumps(content, allow_nan=False)
    if kind == "no detections":
        assert content["intervals"]["metrics"]["AP"] == {"low": 0.0, "high": 0.0}
        assert {case.kind for case in found.cases} == {"miss"}
        assert content["score"] is None
    if kind in {"no objects", "nothing", "only crowds"}:
        assert content["intervals"]["metrics"]["AP"] == {"low": None, "high": None}
        assert content["confusion"]["cells"] == []


def test_unused_classes_cost_little(difficult_scene: Any) -> None:
    truth, results = difficult_scene(images=20, detections=400, classes=3)
    extra = {number: f"class {number}" for number in range(2000, 2500)}
    truth = replace(truth, categories={**truth.categories, **extra})
    found = analyze(truth, results, resamples=20)
    assert len(found.curves) == len(found.calibration) == 1 + 4 + 500
    assert len(found.confusion.cells) < 20
    assert len(json.dumps(found.to_dict())) < 800_000
    assert np.isnan(found.intervals.classes[-1].low)


def test_resamples_must_be_positive(difficult_scene: Any) -> None:
    with pytest.raises(ValueError, match="resamples: expected at least 1, got 0"):
        analyze(*difficult_scene(), resamples=0)
