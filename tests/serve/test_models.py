"""The models of a server: their names, their scores, and exported files, which run without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import serving
import torch
from bright import image

import detkit
from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.checkpoint.operating_points import OperatingPoint, OperatingPoints
from detkit.export import export_onnx
from detkit.inference import Predictor
from detkit.inference.sources import stored_scores
from detkit.models.fcos import FCOSConfig
from detkit.preprocess import PreprocessConfig
from detkit.serve.models import load_model, named_sources
from detkit.serve.parameters import Parameters

NAMES = ("cat", "dog")
CONFIG = FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None), preprocess=PreprocessConfig(short_side=96, long_side=192))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["embedded"], {"embedded": "embedded"}),
        (["runs/light-1", "runs/light-2/"], {"light-1": "runs/light-1", "light-2": "runs/light-2/"}),
        (["runs/light-1/best.safetensors"], {"light-1": "runs/light-1/best.safetensors"}),
        (["a/x.onnx", "a/y.safetensors"], {"x": "a/x.onnx", "y": "a/y.safetensors"}),
        (["old=a/best.safetensors", "new=b/best.safetensors"], {"old": "a/best.safetensors", "new": "b/best.safetensors"}),
    ],
)
def test_names(words: list[str], expected: dict[str, str]) -> None:
    assert named_sources(words) == expected


def test_a_file_with_an_equals_sign_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a=b.onnx"
    path.touch()
    assert named_sources([str(path)]) == {"a=b": str(path)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a/x.onnx", "b/x.onnx"], "a/x.onnx and b/x.onnx would both be called 'x'; name them: NAME=MODEL"),
        (["=x"], "'=x': expected MODEL or NAME=MODEL, got an empty name"),
        (["x="], "'x=': expected MODEL or NAME=MODEL, got an empty model"),
    ],
)
def test_wrong_names(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        named_sources(words)


def detector() -> Any:
    torch.manual_seed(0)
    made = CONFIG.build(2).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias") and parameter.min() < -3:
                parameter.fill_(0.0)
    return made


def checkpoint(path: Path, **fields: Any) -> Path:
    save_checkpoint(path, detector().state_dict(), make_header(CONFIG.to_json(), NAMES, **fields))
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("serve") / "light.onnx"
    export_onnx(Predictor(detector(), CONFIG.preprocess, NAMES, "cpu", reference=True), path, [image()])
    return path


def test_the_embedded_detector_reports_from_the_score_of_detect_and_can_report_everything() -> None:
    model = load_model("embedded", "embedded", device="cpu")
    predictor = detkit.load("embedded", device="cpu", min_score=stored_scores("embedded"))
    assert model.scores.lowest == predictor.min_score
    shown = image(240, 320)
    rows = model.predictor(shown).numpy()
    assert len(model.select(rows, Parameters(min_score=0.0))) == len(rows) > 10
    assert model.select(rows, Parameters()).boxes.tolist() == predictor(shown).boxes.tolist()
    assert len(model.select(rows, Parameters(0.0, max_detections=3))) == 3
    label = int(rows.labels[0])
    chosen = model.select(rows, Parameters(0.0, classes=(str(predictor.class_names[label]),)))
    assert set(chosen.labels.tolist()) == {label}


def test_the_lowest_score_of_models_without_operating_points(tmp_path: Path) -> None:
    path = str(checkpoint(tmp_path / "model.safetensors"))
    assert load_model("m", path, device="cpu").scores.lowest == 0.5
    assert load_model("m", path, device="cpu", default_min_score=0.2).scores.lowest == 0.2
    assert load_model("m", path, device="cpu", min_score=0.3).scores.lowest == 0.3
    assert load_model("m", path, device="cpu", max_batch=5).max_batch == 5
    assert load_model("m", path, device="cpu").max_batch == 1, "on a CPU larger batches are no faster"


def test_operating_points_of_a_checkpoint_are_used(tmp_path: Path) -> None:
    one = OperatingPoint("all", 0.58, 1.0, 1.0, 1.0)
    points = OperatingPoints("best F1 at IoU .5", "toy", 3, one, {"dog": OperatingPoint("dog", 0.56, 1.0, 1.0, 1.0)})
    model = load_model("m", checkpoint(tmp_path / "model.safetensors", operating_points=points.to_dict()), device="cpu")
    assert [row.min_score for row in model.classes()] == [0.58, 0.56]
    rows = model.predictor(image()).numpy()
    chosen = model.select(rows, Parameters())
    assert 0 < len(chosen) < len(rows)
    assert all(row.score >= (0.56 if row.class_name == "dog" else 0.58) for row in chosen)


SCRIPT = """
import json, sys
from starlette.testclient import TestClient
import detkit.cli.main, detkit.cli.serve.command as command
from detkit.serve import server
from detkit.serve.app import create_app

def run(built, bound):
    with TestClient(built.config.app) as client:
        answer = client.post("/v1/detect?min_score=0.2", content=open(sys.argv[2], "rb").read(), headers={"Content-Type": "image/png"})
        info = client.get("/v1/model").json()
        heavy = sorted({"torch", "torchvision", "timm"} & set(sys.modules))
        json.dump({"status": answer.status_code, "answer": answer.json(), "heavy": heavy, "device": info["device"]}, open(sys.argv[3], "w"))

server.run = run
raise SystemExit(detkit.cli.main.main(["serve", sys.argv[1], "--port", "0", "--threads", "1"]))
"""


def test_an_exported_file_is_served_without_torch(exported: Path, tmp_path: Path) -> None:
    photo, result = tmp_path / "photo.png", tmp_path / "result.json"
    photo.write_bytes(serving.photo())
    command = [sys.executable, "-c", SCRIPT, str(exported), str(photo), str(result)]
    root = str(Path(detkit.__file__).parents[1])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, check=False)
    assert done.returncode == 0, done.stderr
    assert "model light: " in done.stdout
    found = json.loads(result.read_text())
    assert (found["status"], found["heavy"], found["device"]) == (200, [], "cpu")
    expected = detkit.load(exported, min_score=0.2)(photo)
    assert len(expected) > 5
    assert [row["class_name"] for row in found["answer"]["detections"]] == [row.class_name for row in expected]
    boxes = [row["box"] for row in found["answer"]["detections"]]
    torch.testing.assert_close(torch.tensor(boxes), expected.boxes, atol=1e-3, rtol=0)
