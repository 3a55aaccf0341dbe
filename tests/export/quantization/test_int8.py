"""Quantization of exported files to int8."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from noisy import config_of_noisy, noise, noisy
from numpy.typing import NDArray

import detkit.export.onnx as exporter
from detkit import machine
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.export import AP_LIMITS
from detkit.cli.main import main
from detkit.data import make_sample, read_source
from detkit.export import Agreement, ExportSettings, export_onnx
from detkit.export.agreement import TOLERANCES
from detkit.export.half import inner_layers
from detkit.export.quantization import int8
from detkit.export.quantization.quantize import Batches, Layers, _prune, quantize, sensitive_layers
from detkit.inference import load_exported
from detkit.inference.choice import measure
from detkit.machine import has_int8_products

onnx = pytest.importorskip("onnx")


def chain(path: Path, scales: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Path:
    """Write convolutions, one after the other, then a last layer and boxes; the first weight of a layer is larger by its scale."""
    from onnx import TensorProto, helper, numpy_helper

    rng, nodes, tensors, last = np.random.default_rng(0), [], [], "images"
    for index, scale in enumerate((*scales, 1.0)):
        values = rng.normal(size=(4, 4, 3, 3)).astype(np.float32) / 6
        values[0, 0, 1, 1] *= scale
        tensors.append(numpy_helper.from_array(values, f"w{index}"))
        nodes.append(helper.make_node("Conv", [last, f"w{index}"], [f"x{index}"], f"conv{index}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"x{index}"], [f"y{index}"], f"relu{index}"))
        last = f"y{index}"
    nodes.append(helper.make_node("Add", [last, last], ["boxes"], "decode"))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4, "h", "w"]) for name in ("images", "boxes")]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, {"detkit": "kept"})
    onnx.save(model, path)
    return path


def batches(count: int = 4) -> list[dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(1)
    return [{"images": rng.normal(size=(1, 4, 12, 12)).astype(np.float32)} for _ in range(count)]


def run(path: Path, feeds: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    import onnxruntime

    (boxes,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feeds)
    return np.asarray(boxes)


def test_layers_before_the_last_run_in_int8(tmp_path: Path) -> None:
    source = chain(tmp_path / "a.onnx")
    layers = quantize(source, tmp_path / "b.onnx", batches())
    assert layers.layers == ("conv0", "conv1", "conv2")
    assert layers.kept == ("conv3",)
    model = onnx.load(tmp_path / "b.onnx")
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds["w3"] == onnx.TensorProto.FLOAT
    assert [kinds[f"w{index}_quantized"] for index in range(3)] == [onnx.TensorProto.INT8] * 3
    assert {entry.key: entry.value for entry in model.metadata_props} == {"detkit": "kept"}
    expected, actual = run(source, batches()[0]), run(tmp_path / "b.onnx", batches()[0])
    error = np.abs(actual - expected).mean() / np.abs(expected).mean()
    assert 0 < error < 0.05


def test_weights_that_no_node_uses_are_removed(tmp_path: Path) -> None:
    model = onnx.load(chain(tmp_path / "a.onnx"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(3, np.float32), "unused"))
    _prune(model)
    assert [tensor.name for tensor in model.graph.initializer] == ["w0", "w1", "w2", "w3"]


def test_without_the_most_sensitive_layers_the_error_is_smaller(tmp_path: Path) -> None:
    source = chain(tmp_path / "a.onnx", (1.0, 30.0, 1.0))
    layers = quantize(source, tmp_path / "b.onnx", batches())
    worst = sensitive_layers(source, tmp_path / "b.onnx", batches(1), layers, 2)
    again = quantize(source, tmp_path / "c.onnx", batches(), worst)
    assert set(again.layers) == set(layers.layers) - set(worst)
    assert set(again.kept) == {"conv3", *worst}
    expected = run(source, batches()[0])
    before, after = (np.abs(run(tmp_path / name, batches()[0]) - expected).mean() for name in ("b.onnx", "c.onnx"))
    assert after < before


def test_what_follows_a_selection_is_not_judged(tmp_path: Path) -> None:
    source = chain(tmp_path / "a.onnx", (1.0, 30.0, 1.0))
    model = onnx.load(source)
    rows = [onnx.helper.make_node("TopK", ["y0", "two"], ["y0_best", "rows"], "select", axis=1)]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([4]), "two"))
    model.graph.node[2].input[0] = "y0_best"
    model.graph.node.insert(2, rows[0])
    onnx.save(model, source)
    layers = quantize(source, tmp_path / "b.onnx", batches())
    assert set(layers.layers) == {"conv1", "conv2"}
    assert sensitive_layers(source, tmp_path / "b.onnx", batches(1), layers, 2) == ()


def test_batches_can_be_read_again_and_in_part() -> None:
    reader = Batches(batches(3))
    assert len(list(reader)) == 3
    assert reader.get_next() is None
    reader.rewind()
    assert len(list(reader)) == 3
    reader.set_range(1, 2)
    assert len(list(reader)) == 1


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Agreement]:
    """A small detector in float32, ``full.onnx``, and in int8, ``int8.onnx``, in a folder; and the agreement of the latter."""
    folder, predictor, shown = tmp_path_factory.mktemp("int8"), noisy(), noise((64, 96), (96, 64))
    settings = ExportSettings(precision="int8", calibration=shown, accept=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "ROUNDS", 2)
        patch.setattr(measure, "SECONDS", 0.1)
        agreement = export_onnx(predictor, folder / "int8.onnx", shown[:1], settings)
    export_onnx(predictor, folder / "full.onnx", shown[:1])
    return folder, agreement


@pytest.mark.slow
def test_a_detector_in_int8(exported: tuple[Path, Agreement]) -> None:
    folder, agreement = exported
    assert agreement.speedup is not None
    assert len(agreement.kept) >= 1
    assert (folder / "int8.onnx").stat().st_size < 0.75 * (folder / "full.onnx").stat().st_size
    assert load_exported(folder / "int8.onnx").precision == "int8"
    assert len(inner_layers(onnx.load(folder / "full.onnx"))) > 10
    assert sorted(file.name for file in folder.iterdir()) == ["full.onnx", "int8.onnx"]


def test_a_slower_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slower = Agreement(1, 0.0, 0.0, 10, 10, TOLERANCES["int8"], speedup=0.5)
    monkeypatch.setattr(exporter, "write_int8", lambda *arguments: slower)
    with pytest.raises(ValueError, match=r"m\.onnx: not written: on this processor \(.*\), int8 takes 2\.00 times as long as fp32"):
        export_onnx(noisy(), tmp_path / "m.onnx", [], ExportSettings(precision="int8", calibration=noise((64, 96))))
    assert not list(tmp_path.iterdir())


class Attempts:
    """Stands for all that an attempt does: attempt ``n`` keeps ``n`` layers in float32, and agrees from a certain one on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, agrees_from: int) -> None:
        self.count, self.agrees_from = 0, agrees_from
        for name in ("quantize", "compare", "sensitive_layers", "speedup", "OnnxRuntime", "_CalibrationBatches"):
            monkeypatch.setattr(int8, name, getattr(self, name, MagicMock()))

    def quantize(self, *arguments: Any) -> Layers:
        self.count += 1
        return Layers((), ("a", "b"), ("kept",) * (self.count - 1))

    def compare(self, *arguments: Any) -> Agreement:
        return Agreement(1, 0.0, 0.0, 100, 100 if self.count >= self.agrees_from else 0, TOLERANCES["int8"])

    def sensitive_layers(self, *arguments: Any) -> tuple[str, ...]:
        return ("a",)

    def speedup(self, *arguments: Any) -> float:
        return 2.0

    def verify(self, runtime: Any) -> None:
        if self.count < 3:
            raise ValueError(f"AP falls in attempt {self.count}")


def settings_with(verify: Any) -> ExportSettings:
    return ExportSettings(precision="int8", calibration=["a.jpg"], verify=verify)


def test_layers_are_kept_until_the_detections_agree_or_the_labels_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.onnx"
    path.touch()
    Attempts(monkeypatch, 2)
    assert int8.write_int8(path, MagicMock(), [], settings_with(None)).kept == ("kept",)
    path.touch()
    attempts = Attempts(monkeypatch, 100)
    agreement = int8.write_int8(path, MagicMock(), [], settings_with(attempts.verify))
    assert agreement.kept == ("kept", "kept"), "the third attempt is good enough on labels"
    assert not agreement.holds
    exporter.check_agreement(agreement, path, settings_with(attempts.verify))
    with pytest.raises(ValueError, match="its outputs differ"):
        exporter.check_agreement(agreement, path, settings_with(None))


def test_a_file_that_is_bad_on_labels_is_refused_even_if_it_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.onnx"
    path.touch()
    attempts = Attempts(monkeypatch, 1)
    monkeypatch.setattr(int8, "ROUNDS", 2)
    with pytest.raises(ValueError, match="AP falls in attempt 2"):
        int8.write_int8(path, MagicMock(), [], settings_with(attempts.verify))


def test_calibration_images_are_for_int8_only() -> None:
    for settings in ({"precision": "int8"}, {"calibration": ["a.jpg"]}):
        with pytest.raises(ValueError, match="precision int8 needs images for its calibration"):
            ExportSettings(**settings)  # type: ignore[arg-type]


def test_command_with_the_average_precision(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_sample(tmp_path / "data", 3, val_images=2)
    assert data.val is not None
    config, names = config_of_noisy(), read_source(data.val).class_names
    save_checkpoint(tmp_path / "best.safetensors", config.build(len(names)).state_dict(), make_header(config.to_json(), names))
    words = ["export", str(tmp_path / "best.safetensors"), "--output", str(tmp_path / "m.onnx"), "--data", str(tmp_path / "data")]
    assert main(words) == 0
    printed = re.search(r"AP on .*: (\d\.\d+) before, (\d\.\d+) after", capsys.readouterr().out)
    assert printed is not None
    assert printed[1] == printed[2]
    monkeypatch.setitem(AP_LIMITS, "fp32", -1.0)
    assert main(words) == 2
    assert "m.onnx: not written: AP falls by" in capsys.readouterr().err
    assert main([*words, "--precision", "int8"]) == 2
    assert "--calibration-images: int8 needs a hundred images" in capsys.readouterr().err


def test_products_of_int8_by_the_flags_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, expected in (("sse avx2", False), ("avx2 avx512_vnni", True), ("avx2 avx_vnni", True)):
        monkeypatch.setattr(machine, "_field", lambda file, name, flags=flags: flags)
        assert has_int8_products() is expected
    monkeypatch.setattr(machine, "_field", lambda file, name: None)
    monkeypatch.setattr(machine.platform, "machine", lambda: "arm64")
    assert has_int8_products()
