"""``detkit benchmark`` as a user runs it, and its measuring."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from noisy import noise, noisy, noisy_checkpoint
from PIL import Image

import detkit
from detkit.cli.main import main
from detkit.comparison import speed
from detkit.comparison.speed import STAGES, Side, measure, open_sides, percentile
from detkit.weights import embedded_onnx_path, require_embedded_path

pytest.importorskip("onnx")
pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noisy_checkpoint(tmp_path_factory.mktemp("run") / "best.safetensors")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "benchmark-cache"))


def labeled(folder: Path) -> Path:
    Image.fromarray(noise((60, 80))[0]).save(folder / "1.png")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 30, 30], "area": 900, "iscrowd": 0}
    content = {"images": [{"id": 1, "file_name": "1.png", "width": 80, "height": 60}], "annotations": [box]}
    (folder / "labels.json").write_text(json.dumps(content | {"categories": [{"id": 1, "name": "dog"}]}))
    return folder / "labels.json"


def test_every_runtime_is_measured(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "peak_bytes", lambda *_: 123_000_000)  # by processes, which take seconds
    files = {name: tmp_path / f"out.{name}" for name in ("json", "png")}
    words = ["--precisions", "fp32", "--rounds", "3", "--batch-sizes", "2", "--json", str(files["json"]), "--plot", str(files["png"])]
    assert main(["benchmark", str(checkpoint), *words, "--data", str(labeled(tmp_path)), "--images", str(tmp_path)]) == 0
    content = json.loads(files["json"].read_text())
    assert [(side["runtime"], side["precision"]) for side in content["sides"]] == [(name, "fp32") for name in ("torch", "onnx", "openvino")]
    for side in content["sides"]:
        assert len(side["seconds"]) == 3
        assert min(side["seconds"]) * 1000 <= side["p50_ms"] <= side["p95_ms"] <= max(side["seconds"]) * 1000 + 1e-3
        assert set(side["stages"]) == set(STAGES)
        assert side["batches"]["2"] > 0
        assert side["file_bytes"] > 100_000
        assert side["ap"] == pytest.approx(content["sides"][0]["ap"], abs=0.01)
    assert content["machine"]["processor"]
    output = capsys.readouterr().out
    assert "123.0" in output
    assert output.count("fp32") == 3
    with Image.open(files["png"]) as image:
        assert image.width > 300


def test_what_cannot_run_is_reported(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened, reasons = open_sides(checkpoint, [Side("torch", "fp32"), Side("onnx", "bf16")], "cpu", {})
    assert list(opened) == [Side("torch", "fp32")]
    assert "runtime='onnx' runs in fp32" in reasons[Side("onnx", "bf16")]
    assert main(["benchmark", str(checkpoint), "--plot", "chart.jpg"]) == 2
    assert "expected a file name ending in .png" in capsys.readouterr().err


def test_sides_are_timed_in_turn() -> None:
    first, second = noisy(), noisy()
    order: list[str] = []
    for name, predictor in (("a", first), ("b", second)):
        detect = predictor.detect
        predictor.detect = lambda rows, name=name, detect=detect: (order.append(name), detect(rows))[1]  # type: ignore[method-assign]
    speeds = measure({Side("a", "fp32"): first, Side("b", "fp32"): second}, np.zeros((40, 40, 3), np.uint8), 3, [2])
    assert order[4:10] == ["a", "b"] * 3
    for figures in speeds.values():
        assert len(figures.seconds) == 3
        for parts in zip(*figures.stages.values(), figures.seconds, strict=True):
            assert sum(parts[:3]) == pytest.approx(parts[3])
            assert min(parts) > 0
    assert "raw" not in vars(first.detector)


@pytest.mark.slow
def test_peak_memory_is_that_of_a_new_process(checkpoint: Path, tmp_path: Path) -> None:
    Image.fromarray(noise((60, 80))[0]).save(tmp_path / "1.png")
    peak = speed.peak_bytes(checkpoint, Side("onnx", "fp32"), "cpu", {"max_detections": 5}, tmp_path / "1.png")
    assert peak is None or 50e6 < peak < 5e9
    assert speed.peak_bytes(checkpoint, Side("onnx", "bf16"), "cpu", {}, tmp_path / "1.png") is None


def test_percentiles() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (50, 95, 100)] == [50.0, 95.0, 100.0]
    assert percentile([3.0], 95) == 3.0
    assert math.isnan(percentile([], 50))


def test_the_size_of_the_embedded_graph_includes_its_weights() -> None:
    predictor = detkit.load("embedded", "cpu", "fp32", runtime="onnx")
    weights, graph = require_embedded_path(), embedded_onnx_path()
    assert graph is not None
    assert speed.file_bytes("embedded", predictor) == graph.stat().st_size + weights.stat().st_size > 7_000_000
