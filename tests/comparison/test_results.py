"""Numbers, intervals and advice of a comparison, from detections of processes that train nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparison_fakes import folder_in, fresh, plan_for, write_data

from detkit.checkpoint.atomic import finite
from detkit.comparison.detections import read_detections, read_masks, write_detections
from detkit.comparison.folder import ComparisonFolder
from detkit.comparison.results import judge, training_command, uneven_runs
from detkit.comparison.session import Session, read_plan
from detkit.comparison.statistics import Sample, difference, estimate, image_weights, samples
from detkit.data import SourceConfig, read_source
from detkit.evaluation.coco import coco_numbers
from detkit.evaluation.coco_curves import curves
from detkit.evaluation.compare import differences
from detkit.evaluation.evaluator import Evaluator
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.mask_runs import box_runs
from detkit.evaluation.synthetic import synthetic_coco


def compared(tmp_path: Path, *words: str, quality: dict[str, float], **protocol: Any) -> tuple[Session, dict[str, Any]]:
    plan = plan_for(write_data(tmp_path / "data", images=40), *words, **protocol)
    session = Session.open(plan, folder_in(tmp_path))
    session.run(fresh(quality=quality))
    results = judge(session, resamples=200)
    session.write(results)
    return session, results


def test_the_better_detector_is_recommended(tmp_path: Path) -> None:
    session, results = compared(tmp_path, quality={"ssd": 14.0, "detr": 0.5}, seeds=3)
    ssd, detr = results["entries"]
    assert (results["best"], results["recommended"]) == ("detr_lite0_bccd", "detr_lite0_bccd")
    assert results["advice"].startswith("Take detr_lite0_bccd: its AP is higher than that of every other, by ")
    assert results["command"] == f"detkit train detr_lite0_bccd --data {tmp_path / 'data'}"
    assert ssd["estimates"]["AP"]["mean"] == pytest.approx(np.mean([run["test"]["AP"] for run in ssd["runs"]]), abs=1e-12)
    assert detr["estimates"]["AP:Zelle β"]["mean"] == pytest.approx(
        np.mean([run["test_classes"][1]["ap"] for run in detr["runs"]]), abs=1e-12
    )
    (pair,) = results["pairs"]
    assert (pair["AP"]["certain"], pair["AP"]["wins"]) == (True, 0.0)
    assert pair["AP"]["mean"] == pytest.approx(ssd["estimates"]["AP"]["mean"] - detr["estimates"]["AP"]["mean"])
    written = json.loads(session.folder.plan.read_text("utf-8"))
    assert written["results"]["entries"][0]["runs"][0]["test"] == finite(ssd["runs"][0]["test"])
    record = session.folder.record(session.units()[0])
    assert record["test"]["values"] == finite(ssd["runs"][0]["test"])
    assert (record["test"]["metric"], record["tuning"]) == ("coco", "none")
    assert read_plan(session.folder.plan) == session.plan  # the file repeats the comparison


def test_no_advice_where_intervals_overlap(tmp_path: Path) -> None:
    session, results = compared(tmp_path, quality={"ssd": 4.0, "detr": 4.0}, seeds=2)
    assert results["recommended"] is None
    assert "cannot tell it from" in results["advice"]
    session.folder.latency.write_text(
        json.dumps({"detectors": {"ssd_lite0_bccd": {"median": 0.01}, "detr_lite0_bccd": {"median": 0.03}}}), "utf-8"
    )
    results = judge(session, resamples=200)
    assert results["recommended"] == "ssd_lite0_bccd"
    assert "of these take ssd_lite0_bccd, the fastest with 10 ms an image" in results["advice"]


def test_a_detector_without_detections_has_ap_0(tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("[]", "utf-8")
    _, results = compared(tmp_path, str(empty), "ssd_lite0_bccd", quality={"ssd": 3.0}, seeds=1)
    row = results["entries"][0]
    assert (row["kind"], row["estimates"]["AP"]["mean"], row["latency"], row["val"]) == (
        "results",
        0.0,
        None,
        pytest.approx(math.nan, nan_ok=True),
    )
    assert results["recommended"] == "ssd_lite0_bccd"


def test_samples_are_the_evaluators_numbers_and_its_bootstrap() -> None:
    content, results = synthetic_coco(60, 1200, 3, seed=1)
    truth = GroundTruth.of(content)
    other = [{**row, "score": row["score"] * (0.4 if index % 3 else 1.0)} for index, row in enumerate(results)]
    weights = image_weights(len(truth.image_ids), 500)
    own, against = samples(truth, results, weights), samples(truth, other, weights)
    numbers = coco_numbers(truth, curves(truth, results, "hotcoco"), "hotcoco")
    assert {name: own[name].value for name in ("AP", "AP50", "AP75")} == pytest.approx(
        {name: numbers[name] for name in ("AP", "AP50", "AP75")}, abs=1e-12
    )
    for row in numbers.classes:
        assert own[f"AP:{row.name}"].value == pytest.approx(row.ap, abs=1e-12)
    value, _ = difference([own["AP"]], [against["AP"]])
    reference = next(row for row in differences(truth, results, other, resamples=2000) if row.name == "AP")
    assert value.mean == pytest.approx(reference.value, abs=1e-9)
    width = reference.high - reference.low
    assert value.interval == pytest.approx((reference.low, reference.high), abs=0.25 * width)


@pytest.mark.oracle("scipy", "Student's t intervals over seeds", tolerance="1e-6 relative")
def test_intervals_over_seeds_are_student_t() -> None:
    flat = np.full(100, 0.5)
    runs = [Sample(value, flat * 0 + 0.5) for value in (0.4, 0.5, 0.6)]
    one = estimate(runs)
    assert one.mean == pytest.approx(0.5)
    assert one.seeds == pytest.approx(4.302652729911275 * 0.1 / math.sqrt(3))
    assert one.interval == pytest.approx((0.5 - one.seeds, 0.5 + one.seeds))
    assert math.isnan(estimate(runs[:1]).seeds)
    welch, wins = difference(runs, [Sample(0.2, flat * 0 + 0.2), Sample(0.3, flat * 0 + 0.3)])
    terms = 0.01 / 3, 0.005 / 2
    freedom = sum(terms) ** 2 / (terms[0] ** 2 / 2 + terms[1] ** 2 / 1)
    from scipy.stats import t

    assert welch.seeds == pytest.approx(t.ppf(0.975, freedom) * math.sqrt(sum(terms)))
    assert wins == 1.0


def test_the_winners_command_has_everything_that_made_it_win(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "my data", "ssd_lite0_bccd:optimizer.lr=0.01", init="scratch", overrides=("augmentation.preset=flip",))
    command = training_command(plan, "ssd_lite0_bccd:optimizer.lr=0.01")
    assert command == (
        f"detkit train ssd_lite0_bccd --data '{tmp_path / 'my data'}' weights=none model.backbone.weights=none "
        "model.backbone.frozen_stages=0 augmentation.preset=flip optimizer.lr=0.01"
    )
    assert training_command(plan, None) == ""


def test_masks_have_columns_where_all_detectors_have_them(tmp_path: Path) -> None:
    from detkit.cli.compare.text import results_text
    from detkit.comparison.pages.charts import results_table

    plan = plan_for(write_data(tmp_path / "data", images=20, masks=True), seeds=2)
    found = {}
    for masks in (True, False):
        session = Session.open(plan, ComparisonFolder(tmp_path / str(masks)))
        session.run(fresh(quality={"ssd": 4.0, "detr": 0.0}, masks=masks))
        found[masks] = judge(session, resamples=20)
        session.write(found[masks])
    ssd, detr = found[True]["entries"]
    assert detr["test_masks"]["AP"] == pytest.approx(0.6)  # three quarters of the pixels are right: at 6 of 10 thresholds
    assert ssd["test_masks"]["AP"] < detr["test_masks"]["AP"]
    assert detr["test"]["AP"] == pytest.approx(1)
    assert detr["runs"][0]["test_masks"]["classes"][1]["name"] == "Zelle β"
    assert "mask AP50" in results_text(found[True])
    assert "mask AP50" in results_table(finite(found[True]))
    assert found[False]["entries"][0]["test_masks"] is None
    assert "mask AP" not in results_text(found[False])
    assert "mask AP" not in results_table(finite(found[False]))


def test_masks_of_results_files_and_their_round_trip(tmp_path: Path) -> None:
    masks = [box_runs((1, 2, 3 + row, 4), (64, 96)) for row in range(5)]
    table = np.array([[1, 1, 2, 3 + row, 4, 0.5, 1] for row in range(5)], np.float64)
    write_detections(tmp_path / "some.npz", table, masks)
    assert read_masks(tmp_path / "some.npz") == masks
    write_detections(tmp_path / "none.npz", table[:0], [])
    assert read_masks(tmp_path / "none.npz") == []
    write_detections(tmp_path / "boxes.npz", table)
    assert read_masks(tmp_path / "boxes.npz") is None
    assert np.array_equal(read_detections(tmp_path / "some.npz"), table)
    data = read_source(SourceConfig(path=str(write_data(tmp_path / "data", images=2, masks=True) / "instances.json")))
    rows = [{"image_id": 1 + row % 2, "category_id": 1, "score": 0.5, "segmentation": mask} for row, mask in enumerate(masks)]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    evaluator = Evaluator(data, data.class_names)
    assert evaluator.read_masks(tmp_path / "results.json") == masks
    assert evaluator.read_results(tmp_path / "results.json")[:, 1:5].tolist() == table[:, 1:5].tolist()


def test_equal_minutes_of_unequal_work_are_reported() -> None:
    rows = [
        {"name": "steady", "runs": [{"images_seen": 400}, {"images_seen": 440}, {"images_seen": None}]},
        {"name": "disturbed", "runs": [{"images_seen": 212}, {"images_seen": 440}]},
        {"name": "results file", "runs": [{}]},
    ]
    assert uneven_runs(rows) == ["disturbed: 212 to 440 images"]
