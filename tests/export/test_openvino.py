"""Export to OpenVINO's files: the detections of the original, both files or none, and NMS that agrees."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from noisy import noise, noisy
from torch import Tensor, nn

from detkit.checkpoint.operating_points import OperatingPoint, OperatingPoints
from detkit.cli.main import main
from detkit.export import Agreement, ExportSettings, export
from detkit.export.files.recalibrate import recalibrate_exported
from detkit.export.nms import kept_by_nms
from detkit.export.quantization import int8
from detkit.inference import Predictor, load_exported
from detkit.inference.choice import measure
from detkit.inference.exported.openvino import OpenVinoRuntime, import_openvino, openvino_core
from detkit.inference.sources import known_operating_points

pytest.importorskip("onnx")
pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return noisy()


@pytest.fixture(scope="module")
def exported(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The detector in float32; tests do not write to it."""
    path = tmp_path_factory.mktemp("exported") / "model.xml"
    export(predictor, path, [photo()])
    return path


def photo() -> np.ndarray:
    return noise((50, 70))[0]


def test_both_files_are_written_and_agree(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.xml"
    agreement = export(predictor, path, [photo()], ExportSettings(batch_size=2, min_score=0.25))
    assert agreement.holds
    assert agreement.detections > 5
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.bin", "model.xml"]
    runtime = OpenVinoRuntime.open(path)
    assert runtime.info.batch_size == 2
    assert runtime.info.metadata["min_score"] == 0.25
    for ours, theirs in zip(Predictor.over(runtime)([photo()] * 3), predictor([photo()] * 3), strict=True):
        torch.testing.assert_close(ours.scores, theirs.scores, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_float16_halves_the_weights(predictor: Predictor, exported: Path, tmp_path: Path) -> None:
    export(predictor, tmp_path / "fp16.xml", [photo()], ExportSettings(precision="fp16"))
    assert (tmp_path / "fp16.bin").stat().st_size < 0.6 * exported.with_suffix(".bin").stat().st_size


@pytest.mark.slow
def test_a_file_that_differs_is_not_written(predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import detkit.export.files.openvino as module

    path = tmp_path / "model.xml"
    path.write_text("before")
    monkeypatch.setattr(module, "compare", lambda *_: Agreement(1, 0.1, 0.0, 5, 5))
    with pytest.raises(ValueError, match=r"model.xml: not written: its outputs differ .* scores differ by up to 0.1"):
        export(predictor, path, [photo()])
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["model.xml"]
    with pytest.raises(ValueError, match="expected a file name ending in .xml"):
        module.export_openvino(predictor, tmp_path / "model.ir", [photo()])


class Suppression(nn.Module):
    """NMS of groups and classes, as exported detectors have it."""

    def forward(self, boxes: Tensor, scores: Tensor) -> Tensor:
        return kept_by_nms(boxes, scores, 0.5, 0.1, 20).float()


def test_nms_keeps_the_same_boxes(tmp_path: Path) -> None:
    """Also where nothing is kept, and for more boxes than are kept: rows that fill up an output would mark wrong boxes."""
    import_openvino(tmp_path)

    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 60, 2, generator=generator) * 80
    boxes = torch.cat([corners, corners + 5 + torch.rand(2, 60, 2, generator=generator) * 40], -1)
    scores = torch.rand(2, 3, 60, generator=generator)
    network, file = Suppression(), tmp_path / "nms.onnx"
    axes = {"boxes": {1: "rows"}, "scores": {2: "rows"}}
    torch.onnx.export(
        network, (boxes, scores), str(file), input_names=["boxes", "scores"], output_names=["kept"], dynamic_axes=axes, dynamo=False
    )
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino_core(file).compile_model(str(file), "CPU", settings).create_infer_request()
    nothing, few = torch.zeros_like(scores), scores.clone()
    few[:, 1:] = 0
    for given in (scores, few, nothing, scores * 0.5):
        for rows in (60, 7):
            feeds = boxes[:, :rows], given[:, :, :rows]
            actual = request.infer({"boxes": feeds[0].numpy(), "scores": feeds[1].contiguous().numpy()}, share_inputs=True)["kept"]
            torch.testing.assert_close(torch.from_numpy(actual), network(*feeds))


@pytest.mark.slow
def test_the_command_writes_the_format_of_the_ending(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "embedded", "--output", str(tmp_path / "model.xml")]) == 0
    assert "written: " in capsys.readouterr().out
    assert (tmp_path / "model.bin").is_file()


def test_settings_are_checked_before_the_work(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        export(predictor, tmp_path / "model.xml", [photo()], replace(ExportSettings(), batch_size=0))


@pytest.mark.slow
def test_operating_points_are_replaced(exported: Path, tmp_path: Path) -> None:
    points = OperatingPoints("best F1", "made", 12, OperatingPoint("all", 0.3, 0.7, 0.6, 0.65), {})
    recalibrate_exported(exported, tmp_path / "other.xml", points)
    assert known_operating_points(tmp_path / "other.xml") == points
    assert known_operating_points(exported) is None
    ours, theirs = (load_exported(path, min_score=0.0)(photo()) for path in (exported, tmp_path / "other.xml"))
    np.testing.assert_array_equal(ours.boxes, theirs.boxes)
    with pytest.raises(FileExistsError):
        recalibrate_exported(exported, tmp_path / "other.xml", points)
    with pytest.raises(ValueError, match=r"expected two \.onnx or two \.xml files"):
        recalibrate_exported(exported, tmp_path / "other.onnx", points)


@pytest.mark.slow
def test_int8_is_measured_in_openvino(predictor: Predictor, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "ROUNDS", 1)
    monkeypatch.setattr(measure, "SECONDS", 0.1)
    seen = []
    settings = ExportSettings(precision="int8", calibration=[photo()], accept=True, verify=seen.append)
    agreement = export(predictor, tmp_path / "model.xml", [photo()], settings)
    assert agreement.speedup is not None
    assert agreement.kept
    assert [type(runtime).__name__ for runtime in seen] == ["OpenVinoRuntime"], "the file itself is verified"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    runtime = OpenVinoRuntime.open(tmp_path / "model.xml")
    assert runtime.info.precision == "int8"
    assert (tmp_path / "model.bin").stat().st_size < 0.45 * exported.with_suffix(".bin").stat().st_size
    with pytest.raises(ValueError, match=r"files for OpenCV end in \.onnx"):
        export(predictor, tmp_path / "model.xml", [photo()], ExportSettings(for_opencv=True))


SIGNALS = """
import gc, os, signal, sys
from detkit.inference import load_exported
opened = [load_exported(sys.argv[1]) for _ in range(3)]
while opened:
    del opened[0]
    gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_signals_are_handled_after_files_were_closed(exported: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SIGNALS, str(exported)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
