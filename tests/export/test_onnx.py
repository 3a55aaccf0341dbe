"""Exported detectors against the detectors that they were made from, in onnxruntime."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import detkit
from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.main import main
from detkit.data import make_sample, read_source
from detkit.export import compare, export_onnx
from detkit.export.graph import Graph
from detkit.inference import ImagePyramid, Predictor
from detkit.inference.exported import KEY, load_exported
from detkit.inference.loading import load_detector
from detkit.models import MODELS
from detkit.models.detector import DetectorConfig
from detkit.preprocess import PreprocessConfig

onnx = pytest.importorskip("onnx")
NAMES = ("a", None, "c")
SMALL = PreprocessConfig(short_side=96, long_side=192)
FIXED = PreprocessConfig(rule="fixed", input_size=(96, 128))


def small(kind: str) -> DetectorConfig:
    config: Any = MODELS.get(kind)()  # type: ignore[operator]
    backbone = BackboneConfig(name="resnet18", weights=None, levels=config.backbone.levels)
    if kind == "ssd":
        return config.replace(
            backbone=config.backbone.replace(weights=None), preprocess=PreprocessConfig(rule="fixed", input_size=(300, 300))
        )  # type: ignore[no-any-return]
    if kind == "yolov1":
        head = config.head.replace(hidden=(8,), by_cell=True)
        return config.replace(backbone=backbone, preprocess=FIXED, neck=config.neck.replace(channels=(16,)), head=head)  # type: ignore[no-any-return]
    if kind == "detr":
        head = config.head.replace(channels=32, hidden=64, num_queries=9, encoder_layers=1, decoder_layers=2)
        return config.replace(backbone=backbone, preprocess=SMALL, head=head)  # type: ignore[no-any-return]
    letterbox = config.preprocess.replace(input_size=(96, 96)) if kind == "yolox" else SMALL
    return config.replace(backbone=backbone, preprocess=letterbox)  # type: ignore[no-any-return]


def predictor_of(kind: str, names: tuple[str | None, ...] = NAMES) -> Predictor:
    """With scores that are spread, so that it finds something everywhere."""
    torch.manual_seed(0)
    config = small(kind)
    detector = config.build(len(names)).eval()
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if name.endswith("bias") and parameter.min() < -3:
                parameter.fill_(0.0)
            if "logits" in name and parameter.ndim > 1 and parameter.std() < 0.02:
                parameter.mul_(20)
    detector.report_only(names)
    return Predictor(detector, config.preprocess, names, "cpu", "fp32", reference=True)


def photos(*sizes: tuple[int, int]) -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize("kind", ["retinanet", "fcos", "ssd", "yolov1", "yolox", "detr"])
def test_it_says_what_the_detector_says_for_images_of_any_shape(kind: str, tmp_path: Path) -> None:
    predictor, shown = predictor_of(kind), photos((120, 200), (230, 100), (61, 60))
    found = export_onnx(predictor, tmp_path / "model.onnx", shown)
    assert found.holds
    assert found.detections > 10, "nothing would be compared"
    assert found.matched >= 0.98 * found.detections
    exported = detkit.load(tmp_path / "model.onnx")
    assert exported.class_names == NAMES
    for image in shown:
        ours, theirs = predictor(image), exported(image)
        assert len(ours) == len(theirs)
        torch.testing.assert_close(ours.scores, theirs.scores, atol=1e-4, rtol=0)
        assert 1 not in theirs.labels, "a class without a name is never reported"


def test_several_images_at_a_time(tmp_path: Path) -> None:
    predictor, shown = predictor_of("fcos"), photos((120, 200), (120, 200), (120, 200))
    export_onnx(predictor, tmp_path / "model.onnx", shown[:1], batch_size=2)
    exported = load_exported(tmp_path / "model.onnx")
    for ours, theirs in zip(predictor(shown), exported(shown), strict=True):
        torch.testing.assert_close(ours.scores, theirs.scores, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match=r"model\.onnx: batch_size: the file takes 2 images at a time"):
        load_exported(tmp_path / "model.onnx", batch_size=3)


def test_the_file_alone_tells_what_other_programs_need(tmp_path: Path) -> None:
    predictor = predictor_of("fcos")
    export_onnx(predictor, tmp_path / "model.onnx", photos((120, 200)))
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.input] == ["images"]
    assert [value.name for value in model.graph.output] == ["scores", "boxes", "levels"]
    told = json.loads(next(entry.value for entry in model.metadata_props if entry.key == KEY))
    assert (told["class_names"], told["pad_multiple"], told["input_size"]) == (list(NAMES), 32, None)
    assert told["mean"] == pytest.approx([0.485, 0.456, 0.406])


def test_options_and_a_pyramid_work_on_it(tmp_path: Path) -> None:
    shown = photos((120, 200))
    export_onnx(predictor_of("fcos"), tmp_path / "model.onnx", shown)
    exported = detkit.load(tmp_path / "model.onnx", classes=["c"], min_score=0.3)
    found = exported(shown[0])
    assert set(found.labels.tolist()) == {2}
    assert float(found.scores.min()) >= 0.3
    assert len(ImagePyramid(exported, scales=(1.0, 2.0))(shown[0]))


def test_a_file_that_says_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Graph.forward
    calls = []

    def changing(self: Graph, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        calls.append(1)
        scores, *others = forward(self, images)
        return (scores + 0.01 * (len(calls) > 1), *others)

    monkeypatch.setattr(Graph, "forward", changing)
    (tmp_path / "model.onnx").write_text("older")
    with pytest.raises(ValueError, match=r"model\.onnx: not written: the file's scores differ from the detector's by up to 0\.01"):
        export_onnx(predictor_of("yolov1"), tmp_path / "model.onnx", photos((96, 128)))
    assert (tmp_path / "model.onnx").read_text() == "older"
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]


def test_differences_are_found(tmp_path: Path) -> None:
    predictor, shown = predictor_of("yolov1"), photos((96, 128))
    export_onnx(predictor, tmp_path / "model.onnx", shown)
    with torch.no_grad():
        for name, parameter in predictor.detector.named_parameters():
            parameter.add_(0.05 * (name.startswith("head") and name.endswith("bias")))
    found = compare(predictor, str(tmp_path / "model.onnx"), shown)
    assert not found.holds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(b"nothing"), r"m\.onnx: not an ONNX file that onnxruntime can run"),
        (lambda path: path.unlink(), r"m\.onnx: no such file"),
        (lambda path: onnx.save(_without_metadata(path), path), r"m\.onnx: an ONNX file of another program"),
        (lambda path: onnx.save(_of_later(path), path), r"m\.onnx: written by detkit .* in a later format; update detkit"),
    ],
)
def test_files_that_are_something_else(change: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    export_onnx(predictor_of("yolov1"), path, photos((96, 128)))
    change(path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        detkit.load(path)


def _without_metadata(path: Path) -> Any:
    model = onnx.load(path)
    del model.metadata_props[:]
    return model


def _of_later(path: Path) -> Any:
    model = onnx.load(path)
    told = json.loads(model.metadata_props[0].value)
    model.metadata_props[0].value = json.dumps(told | {"format": 99})
    return model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "device 'cuda': an exported file runs on the CPU"),
        ({"precision": "bf16"}, "precision 'bf16': an exported file runs in fp32"),
        ({"reference": True}, "reference is not for exported files"),
    ],
)
def test_what_a_file_cannot_do(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        detkit.load(tmp_path / "m.onnx", **options)


def test_two_stages_do_not_fit_into_a_file(tmp_path: Path) -> None:
    config: Any = MODELS.get("faster_rcnn")()  # type: ignore[operator]
    detector = config.replace(backbone=BackboneConfig(name="resnet18", weights=None)).build(3)
    predictor = Predictor(detector, SMALL, NAMES, "cpu", "fp32", reference=True)
    with pytest.raises(ValueError, match="FasterRCNN cannot be exported: a file holds one network, from the image"):
        export_onnx(predictor, tmp_path / "m.onnx", photos((96, 128)))
    fast = Predictor(predictor_of("fcos").detector, SMALL, NAMES, "cpu", "fp32")
    with pytest.raises(ValueError, match=r"cannot be traced; load the detector with device=.cpu. and reference=True"):
        export_onnx(fast, tmp_path / "m.onnx", photos((96, 128)))
    with pytest.raises(ValueError, match=r"m\.pb: expected a name that ends in \.onnx"):
        export_onnx(predictor, tmp_path / "m.pb", [])


@pytest.mark.parametrize(("library", "act"), [("onnx", "write"), ("onnxruntime", "read")])
def test_a_library_that_is_missing_is_named(library: str, act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"{library} .*it is not here: pip install 'detkit\[export\]'"):
        export_onnx(predictor_of("yolov1"), path, []) if act == "write" else detkit.load(path)


def test_the_command_writes_and_what_it_wrote_detects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small("fcos")
    predictor = predictor_of("fcos")
    save_checkpoint(tmp_path / "best.safetensors", predictor.detector.state_dict(), make_header(config.to_json(), NAMES, min_score=0.2))
    assert main(["export", str(tmp_path), "--output", str(tmp_path / "m.onnx")]) == 0
    told = capsys.readouterr().out
    assert re.search(r"written: .*m\.onnx, \d+\.\d MiB", told)
    assert re.search(r"compared on 1 image: scores differ by at most \d\.\de-\d+, boxes by \d.*; \d+ of \d+ detections the same", told)
    assert main(["detect", "--weights", str(tmp_path / "m.onnx"), "--no-images"]) == 0
    told = capsys.readouterr().out
    assert "on cpu in fp32" in told
    assert "shown from score 0.2 on, as these weights suggest" in told
    with pytest.raises(ValueError, match=r"m\.onnx: an exported file detects and is evaluated, no more"):
        load_detector(tmp_path / "m.onnx")
    assert main(["export", str(tmp_path), "--output", str(tmp_path / "m.onnx"), "--batch-size", "0"]) != 0
    assert "--batch-size: expected 1 or more, got 0" in capsys.readouterr().err


def test_it_is_evaluated_as_the_detector_is(tmp_path: Path) -> None:
    data = make_sample(tmp_path / "data", 3, val_images=2).val
    assert data is not None
    labeled = read_source(data)
    predictor = predictor_of("fcos", labeled.class_names)
    export_onnx(predictor, tmp_path / "m.onnx", photos((120, 200)))
    found, expected = detkit.evaluate(tmp_path / "m.onnx", labeled), detkit.evaluate(predictor, labeled)
    assert found.values == pytest.approx(expected.values, abs=1e-3, nan_ok=True)
    counts = [rows.detections for rows in expected.classes]
    assert sum(counts) > 10
    assert [rows.detections for rows in found.classes] == counts
