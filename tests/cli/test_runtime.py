"""``--runtime`` as a user gives it: detect and evaluate in every runtime, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from noisy import noise, noisy_checkpoint
from PIL import Image

from detkit.cli.main import main

pytest.importorskip("onnx")
pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint and two images with labels."""
    folder = tmp_path_factory.mktemp("work")
    noisy_checkpoint(folder / "best.safetensors")
    images, boxes = [], []
    for number, pixels in enumerate(noise((60, 80), (50, 40)), 1):
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": pixels.shape[1], "height": pixels.shape[0]})
        boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": [5, 5, 30, 30], "area": 900, "iscrowd": 0})
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "dog"}]}
    (folder / "labels.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(autouse=True)
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def detections(folder: Path, *words: str) -> list[dict[str, object]]:
    output = folder / "found.json"
    model = ["--model", str(folder / "best.safetensors"), "--precision", "fp32", "--min-score", "0.3", "--classes", "dog"]
    assert main(["detect", str(folder / "1.png"), *model, "--no-draw", "--json", str(output), *words]) == 0
    rows: list[dict[str, object]] = json.loads(output.read_text())["images"][0]["detections"]
    return rows


def test_detect_finds_the_same_in_every_runtime(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = detections(folder)
    assert len(expected) > 3
    for runtime in ("torch", "onnx", "openvino"):
        rows = detections(folder, "--runtime", runtime)
        assert [row["class"] for row in rows] == [row["class"] for row in expected]
        assert [row["score"] for row in rows] == pytest.approx([row["score"] for row in expected], abs=1e-4)


def test_evaluate_computes_the_same_in_every_runtime(folder: Path) -> None:
    numbers = []
    for runtime in ("torch", "onnx", "openvino"):
        output = folder / "numbers.json"
        words = ["--data", str(folder / "labels.json"), "--images", str(folder), "--json", str(output), "--runtime", runtime]
        assert main(["evaluate", str(folder / "best.safetensors"), *words]) == 0
        content = json.loads(output.read_text())
        assert content["runtime"] == runtime
        numbers.append(content["values"]["AP"])
    assert numbers == pytest.approx([numbers[0]] * 3, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--runtime", "onnx", "--svd", "8,8"], "svd: it needs the network's layers, and runtime='onnx' runs an exported file"),
        (["--runtime", "onnx", "--precision", "bf16"], "precision 'bf16': runtime='onnx' runs in fp32; use runtime='torch'"),
        (["--runtime", "openvino", "--device", "mps"], "device 'mps': runtime='openvino' runs on the CPU; use runtime='torch'"),
        (["--runtime", "tensorrt"], "invalid choice"),
        (["--threads", "0"], "expected a whole number of 1 or more"),
    ],
)
def test_what_cannot_be_is_one_line(folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["detect", str(folder / "1.png"), "--model", str(folder / "best.safetensors"), "--no-draw", *words]
    try:
        code = main(command)
    except SystemExit as stop:
        code = int(str(stop.code))
    assert code == 2
    assert message in capsys.readouterr().err


def test_serve_loads_a_checkpoint_in_the_runtime(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    from detkit.serve import service

    loaded = []

    class Stopped(service.Service):
        def __init__(self, models: Any, settings: Any) -> None:
            loaded.extend(models)
            raise KeyboardInterrupt

    monkeypatch.setattr(service, "Service", Stopped)
    main(["serve", str(folder), "--runtime", "onnx", "--port", "0"])
    (model,) = loaded
    assert type(model.predictor.runtime).__name__ == "OnnxRuntime"
