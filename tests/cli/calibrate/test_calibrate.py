from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bright import image, predictor, saved

import detkit
import detkit.inference
from detkit.checkpoint import load_checkpoint, make_header, read_header, save_checkpoint
from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoints
from detkit.cli.main import main

IMAGES = 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with labeled images and a checkpoint, in whose place a detector of bright rectangles runs.

    It detects every red rectangle with score .9, and a green one, which half of the images have as an object, with score .6.
    """
    monkeypatch.setattr(detkit.inference, "load", lambda source, device, precision, **options: predictor(60, **options))
    monkeypatch.setattr("detkit.experiment.evaluation_run.load", lambda source, device, precision, **options: predictor(60, **options))
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    images, annotations = [], []
    for number in range(1, IMAGES + 1):
        pixels = image()
        saved(tmp_path / "data", f"{number}.png", pixels)
        images.append({"id": number, "file_name": f"{number}.png", "width": 80, "height": 60})
        boxes = [(1, [10, 20, 20, 20]), *([(2, [40, 5, 20, 10])] if number % 2 else [])]
        annotations += [{"image_id": number, "category_id": label, "bbox": box} for label, box in boxes]
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}]
    content = {"images": images, "categories": categories, "annotations": [{"id": i, **row} for i, row in enumerate(annotations, 1)]}
    Path("data/instances.json").write_text(json.dumps(content))
    header = make_header('{"kind": "yolox"}', ["red", "green", None], metrics={"AP": 0.5}, min_score=0.25)
    save_checkpoint("best.safetensors", {"w": torch.arange(3.0)}, header)
    return tmp_path


def calibrate(*words: str) -> int:
    return main(["calibrate", "best.safetensors", "--data", "data/instances.json", *words])


@pytest.mark.usefixtures("folder")
def test_a_copy_of_the_checkpoint_has_the_scores(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("best.safetensors").read_bytes()
    assert calibrate("--target", "precision=.8", "--json", "points.json") == 0
    out = capsys.readouterr().out
    assert "precision of at least 0.8 at IoU .5, found on data/instances.json (8 images)" in out
    assert "red          8   0.45  1.000 (" in out
    assert "1 class does not reach precision=0.8 at any score that keeps 3 correct detections" in out
    assert "uses that of all classes, 0.75: green" in out
    assert "written: best_precision_0.8.safetensors, points.json" in out
    assert Path("best.safetensors").read_bytes() == before
    new = load_checkpoint("best_precision_0.8.safetensors")
    points = new.operating_points
    assert points is not None
    assert (points.target, points.data, points.split, points.images) == ("precision=0.8", "data/instances.json", None, IMAGES)
    assert (list(points.classes), points.unreached) == (["red"], ("green",))
    assert json.loads(Path("points.json").read_text()) == points.to_dict() == new.header[HEADER_FIELD]
    assert "min_score" not in new.header, "a number has precedence over the points"
    assert new.header["metrics"] == {"AP": 0.5}
    torch.testing.assert_close(new.tensors["w"], torch.arange(3.0))


@pytest.mark.usefixtures("folder")
def test_no_file_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("best_f1.safetensors").write_text("mine")
    assert calibrate() == 0
    assert Path("best_f1.safetensors").read_text() == "mine"
    assert "written: best_f1-2.safetensors" in capsys.readouterr().out
    assert calibrate("--output", "best_f1-2.safetensors") == 2
    assert "best_f1-2.safetensors: expected a new file" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["best.safetensors", "--target", "precision=90"], "--target: precision: expected a number between 0 and 1"),
        (["best.safetensors", "--output", "new.onnx"], "--output new.onnx: expected a file name ending in .safetensors"),
        (["yolox_nano"], "published weights keep no operating points"),
        ([], "the detector inside the package records no validation data"),
    ],
)
def test_errors_come_before_the_work(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_without_a_correct_detection_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(Path("data/instances.json").read_text())
    for row in content["annotations"]:
        row["bbox"] = [0, 0, 5, 5]
    Path("data/instances.json").write_text(json.dumps(content))
    assert calibrate() == 2
    assert "none of the 16 detections is correct, so no score can be chosen; check --rename" in capsys.readouterr().err
    assert list(Path().glob("best_*")) == []


@pytest.mark.usefixtures("folder")
def test_detect_uses_the_scores_and_records_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate("--target", "precision=.8", "--output", "new.safetensors") == 0
    capsys.readouterr()
    words = ["detect", "data/1.png", "--no-draw", "--json", "found.json", "--model"]
    assert main([*words, "new.safetensors"]) == 0
    out = capsys.readouterr().out
    assert "minimum scores by class: 0.45 to 0.45 (precision of at least 0.8 at IoU .5, on 8 images of data/instances.json)" in out
    assert "1 class has no score of its own and uses that of all classes, 0.75: green" in out
    content = json.loads(Path("found.json").read_text())
    assert (content["min_score"], content["min_scores"], content["target"]) == (0.45, {"red": 0.45, "green": 0.75}, "precision=0.8")
    assert [row["class"] for row in content["images"][0]["detections"]] == ["red"]
    assert main([*words, "new.safetensors", "--min-score", "0.5"]) == 0
    content = json.loads(Path("found.json").read_text())
    assert (content["min_score"], content.get("min_scores")) == (0.5, None)
    assert [row["class"] for row in content["images"][0]["detections"]] == ["red", "green"]
    assert main([*words, "new.safetensors", "--pyramid", "1", "2"]) == 0
    assert [row["class"] for row in json.loads(Path("found.json").read_text())["images"][0]["detections"]] == ["red"]


def test_no_detection_names_the_best_score(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(folder, "empty.png", np.zeros((60, 80, 3), np.uint8))
    assert main(["detect", "data/1.png", "empty.png", "--no-draw", "--model", "best.safetensors", "--min-score", "0.95"]) == 0
    out = capsys.readouterr().out
    assert "1.png (80 x 60): no detections at or above 0.95; the best is red 0.9 (in " in out.replace("data/", "")
    assert "empty.png (80 x 60): no detections in " in out
    assert "note: the best detection is red 0.9, below the minimum score of 0.95; lower it with --min-score" in out


@pytest.mark.usefixtures("folder")
def test_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    points = detkit.calibrate("best.safetensors", "data/instances.json", "precision=.8", output="new.safetensors")
    assert OperatingPoints.from_dict(read_header("new.safetensors")[HEADER_FIELD]) == points

    def detect_nothing(*_: Any, **__: Any) -> None:
        raise AssertionError("the output must be checked before the work")

    monkeypatch.setattr("detkit.experiment.calibration.detect_labeled", detect_nothing)
    with pytest.raises(FileExistsError, match=r"new\.safetensors: expected a new file"):
        detkit.calibrate("best.safetensors", "data/instances.json", output="new.safetensors")
