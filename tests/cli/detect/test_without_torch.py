"""``detkit detect`` in onnxruntime: without PyTorch and other slow libraries, and with the results that PyTorch has."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bright import image, saved
from PIL import Image
from videos import film
from without_libraries import SLOW_LIBRARIES, run_without

import detkit
from detkit.cli.detect.detector import load_predictor, onnx_file
from detkit.cli.detect.options import DetectOptions
from detkit.cli.inputs import sample_photograph
from detkit.cli.main import main
from detkit.data import SourceConfig, read_source
from detkit.data.media import images
from detkit.inference import ArrayPredictor, Predictor
from detkit.weights import EMBEDDED, embedded_onnx_path, embedded_path


def detect_without(names: tuple[str, ...], *words: str | Path) -> str:
    """Run the command in a process in which some libraries cannot be imported, and return what it prints."""
    return run_without(names, "detect", *words)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two photographs and a video."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    photograph = Image.open(sample_photograph())
    photograph.save("in/cat.png")
    photograph.resize((640, 480)).save("in/large.jpg", quality=95)
    film(Path("film.mp4"), frames=3)
    return tmp_path


def rows_of(entry: dict[str, Any]) -> tuple[list[int], list[float], list[list[float]]]:
    rows = entry["detections"]
    return [row["label"] for row in rows], [row["score"] for row in rows], [row["box"] for row in rows]


def test_everything_is_written_without_pytorch(folder: Path) -> None:
    files = ["--json", "a.json", "--csv", "a.csv", "--coco", "a.coco.json", "--labels", "made", "--labels-format", "coco"]
    out = detect_without(SLOW_LIBRARIES, "in", "--min-score", "0.1", *files)
    assert f"model: {embedded_path()} (the detector inside the package; 80 classes), on cpu in fp32" in out
    assert "is more accurate" in out
    content = json.loads(Path("a.json").read_text())
    assert content["model"] == str(embedded_path())
    assert content["min_score"] == 0.1
    full = detkit.load(EMBEDDED, "cpu", "fp32", min_score=0.1)
    for entry in content["images"]:
        labels, scores, boxes = rows_of(entry)
        expected = full(entry["file"])
        assert labels == expected.labels.tolist()
        np.testing.assert_allclose(scores, expected.scores.numpy(), atol=1e-3)
        np.testing.assert_allclose(boxes, expected.boxes.numpy(), atol=0.5)
    count = sum(len(entry["detections"]) for entry in content["images"])
    assert count >= 2
    assert len(list(csv.DictReader(Path("a.csv").read_text().splitlines()))) == count
    assert len(json.loads(Path("a.coco.json").read_text())) == count
    data = read_source(SourceConfig(path="made"))
    assert [Path(path).name for path in data.records.paths] == ["cat.png", "large.jpg"]
    assert len(data.records.boxes) == count
    assert sorted(path.name for path in Path("runs/detect-1").iterdir()) == ["cat.jpg", "large.jpg"]


def test_videos_and_labels_of_other_formats(folder: Path) -> None:
    out = detect_without(
        SLOW_LIBRARIES, "film.mp4", "--min-score", "0.01", "--json", "a.json", "--labels", "made", "--labels-format", "voc"
    )
    assert "1 video of 3 frames" in out
    frames = json.loads(Path("a.json").read_text())["videos"][0]["frames"]
    assert [frame["frame"] for frame in frames] == [0, 1, 2]
    assert Path("runs/detect-1/film.mp4").stat().st_size > 1000
    assert len(read_source(SourceConfig(path="made")).records) == 3


def test_jpeg_without_opencv(folder: Path) -> None:
    with_opencv = detect_without(SLOW_LIBRARIES, "in/large.jpg", "--json", "a.json", "--no-draw")
    detect_without((*SLOW_LIBRARIES, "cv2", "yaml", "tqdm"), "in/large.jpg", "--json", "b.json", "--no-draw")
    assert "cat" in with_opencv
    assert json.loads(Path("a.json").read_text()) == json.loads(Path("b.json").read_text())


def test_pillow_decodes_a_jpeg_like_opencv(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = images.read_image("in/large.jpg")
    monkeypatch.setitem(sys.modules, "cv2", None)
    np.testing.assert_array_equal(images.read_image("in/large.jpg"), expected)


@pytest.mark.parametrize(
    ("changes", "needs_torch"),
    [
        ({}, False),
        ({"device": "cpu", "precision": "fp32"}, False),
        ({"classes": ("cat",), "max_detections": 3, "min_score": 0.1}, False),
        ({"device": "cuda"}, True),
        ({"device": "mps"}, True),
        ({"precision": "bf16"}, True),
        ({"pyramid": (1.0, 2.0)}, False),
        ({"flip": True}, False),
        ({"tiles": (320,)}, False),
        ({"svd": (10, 10)}, True),
        ({"proposals_cache": "cache"}, True),
        ({"weights_file": "yolox.pth"}, True),
    ],
)
def test_what_needs_pytorch(changes: dict[str, Any], needs_torch: bool) -> None:
    model = embedded_path()
    assert model is not None
    assert (onnx_file(model, DetectOptions(**changes)) is None) == needs_torch
    assert onnx_file("other.safetensors", DetectOptions(**changes)) is None


def test_an_exported_file_keeps_its_own_rules_on_devices() -> None:
    assert onnx_file("a.onnx", DetectOptions(device="cuda")) == Path("a.onnx")
    assert onnx_file("a.onnx", DetectOptions(flip=True)) == Path("a.onnx")
    assert onnx_file("a.onnx", DetectOptions(svd=(10, 10))) is None
    file = str(embedded_onnx_path())
    with pytest.raises(ValueError, match="an exported file runs on the CPU; use the checkpoint"):
        load_predictor(file, DetectOptions(device="cuda"), None, 0.0)


def test_both_predictors_get_the_same_options() -> None:
    model = embedded_path()
    assert model is not None
    for precision, kind in (("fp32", ArrayPredictor), ("bf16", Predictor)):
        predictor = load_predictor(model, DetectOptions(precision=precision, max_detections=7), ["cat", "dog"], 0.25)
        assert isinstance(predictor, kind)
        assert (predictor.reported, predictor.min_score, predictor.max_detections) == (("cat", "dog"), 0.25, 7)


def test_messages_are_those_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, "black.png", image())
    Path("broken.jpg").write_bytes(b"no image")
    assert main(["detect", "black.png", "broken.jpg", "--model", EMBEDDED, "--min-score", "0.99", "--no-draw"]) == 1
    captured = capsys.readouterr()
    assert "no detections at or above 0.99; the best is" in captured.out
    assert "note: the best detection is" in captured.out
    assert "broken.jpg: not a readable image" in captured.err
    assert main(["detect", "black.png", "--classes", "car,bus", "--max-detections", "1", "--min-score", "0", "--no-draw"]) == 0
    assert "1 image reached the limit of 1 detections" in capsys.readouterr().out
    assert main(["detect", "black.png", "--classes", "cart", "--no-draw"]) == 2
    assert "class 'cart' is not among the 80 classes of the model: did you mean 'car'" in capsys.readouterr().err
