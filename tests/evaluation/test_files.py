from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import detkit
from detkit.evaluation import evaluate_coco, evaluate_coco_files, evaluate_voc, evaluate_voc_files, files
from detkit.evaluation.files import read_ground_truth
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.synthetic import synthetic_coco, write_synthetic_coco


@pytest.mark.parametrize("evaluator", ["hotcoco", "pycocotools"])
def test_files_give_the_same_metrics_as_memory(tmp_path: Any, evaluator: Any) -> None:
    truth, results = synthetic_coco(20, 800, classes=4)
    annotations, result_file = write_synthetic_coco(tmp_path, 20, 800, classes=4)
    assert repr(evaluate_coco_files(annotations, result_file, evaluator)) == repr(
        evaluate_coco(truth, results, evaluator, str(annotations))
    )


def test_voc_from_files(write: Any, truth: Any, results: Any) -> None:
    annotations, result_file = write("gt.json", truth), write("dt.json", results)
    assert repr(evaluate_voc_files(annotations, result_file, "11-point", (0.3, 0.5))) == repr(
        evaluate_voc(truth, results, "11-point", (0.3, 0.5))
    )


@pytest.mark.parametrize("evaluator", ["hotcoco", "pycocotools"])
def test_empty_list_of_results_gives_ap_0(write: Any, truth: Any, evaluator: Any) -> None:
    assert evaluate_coco_files(write("gt.json", truth), write("dt.json", []), evaluator).ap == 0.0


def test_valid_files_are_not_checked_row_by_row(write: Any, truth: Any, results: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "read_results", lambda *_: pytest.fail("read row by row"))
    assert evaluate_coco_files(write("gt.json", truth), write("dt.json", results)).ap == pytest.approx(0.5)


@pytest.mark.parametrize(
    "extra",
    [
        {"note": None},
        {"attributes": {"score": 1}},
        {"segmentation": {"counts": "bbox", "size": [1, 1]}},
    ],
)
def test_extra_keys_change_nothing(write: Any, truth: Any, results: Any, extra: Any) -> None:
    for row in results:
        row.update(extra)
    assert evaluate_coco_files(write("gt.json", truth), write("dt.json", results)).ap == pytest.approx(0.5)


def test_nothing_is_printed(write: Any, truth: Any, results: Any, capfd: pytest.CaptureFixture[str]) -> None:
    evaluate_coco_files(write("gt.json", truth), write("dt.json", results))
    with pytest.raises(ValueError, match="image_id"):
        evaluate_coco_files(write("gt.json", truth), write("dt.json", [{**results[0], "image_id": 5}]))
    assert capfd.readouterr() == ("", "")


def test_evaluating_files_does_not_import_torch() -> None:
    code = "import sys, detkit.evaluation.files; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(detkit.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0


def test_outlines_of_the_ground_truth_are_not_kept(tmp_path: Path) -> None:
    outline = [[float(number) for number in range(2000)]]
    rows = [{"id": n, "image_id": 1, "category_id": 3, "bbox": [n, 0, 9, 9], "segmentation": outline} for n in range(1, 400)]
    content = {"images": [{"id": 1}], "annotations": rows, "categories": [{"id": 3, "name": "cat"}]}
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    tracemalloc.start()
    truth = read_ground_truth(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert truth == GroundTruth.of(content, str(path))
    assert peak < 3.5 * path.stat().st_size  # as a whole, 5.5 times
