"""Exported detectors in onnxruntime against the original detectors."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from exporting import NAMES, SMALL, noise_images, predictor_of, small_config

import detkit
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.main import main
from detkit.data import make_sample, read_source
from detkit.export import ExportSettings, compare, export_onnx
from detkit.export.graph import OneStageDetections
from detkit.inference import ImagePyramid, Predictor, load_exported
from detkit.inference.detectors import load_detector
from detkit.inference.exported.metadata import METADATA_KEY, ExportMetadata
from detkit.models.detector import Detector

onnx = pytest.importorskip("onnx")


FAST = [("yolox", "detections"), ("fcos", "locations")]
CASES = [
    *FAST,
    *itertools.product(("retinanet", "yolov1"), ("detections",)),
    *itertools.product(("yolox", "dfine", "retinanet", "ssd", "yolov1", "detr", "rtdetr"), ("locations",)),
]
"""The detections of the other kinds are compared in tests/contracts/test_export.py."""


@pytest.mark.parametrize(("kind", "outputs"), [case if case in FAST else pytest.param(*case, marks=pytest.mark.slow) for case in CASES])
def test_outputs_match_the_detector_for_images_of_any_shape(kind: str, outputs: Any, tmp_path: Path) -> None:
    predictor, shown = predictor_of(kind), noise_images((120, 200), (230, 100), (61, 60))
    agreement = export_onnx(predictor, tmp_path / "model.onnx", shown, ExportSettings(outputs=outputs))
    assert agreement.holds
    assert agreement.detections > 10, "too few detections to compare"
    assert agreement.matched >= 0.98 * agreement.detections
    exported = detkit.load(tmp_path / "model.onnx", batch_size=2)
    assert exported.class_names == NAMES
    for expected, actual in zip(predictor(shown), exported(shown), strict=True):
        assert len(expected) == len(actual)
        torch.testing.assert_close(expected.scores, actual.scores, atol=1e-4, rtol=0)
        assert 1 not in actual.labels, "a class without a name is never reported"


def test_batch_size(tmp_path: Path) -> None:
    predictor, shown = predictor_of("fcos"), noise_images((120, 200), (120, 200), (120, 200))
    export_onnx(predictor, tmp_path / "model.onnx", shown[:1], ExportSettings(batch_size=2))
    exported = load_exported(tmp_path / "model.onnx")
    for expected, actual in zip(predictor(shown), exported(shown), strict=True):
        torch.testing.assert_close(expected.scores, torch.from_numpy(actual.scores), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match=r"model\.onnx: batch_size: the file has a fixed batch size of 2"):
        load_exported(tmp_path / "model.onnx", batch_size=3)


def written(path: Path, kind: str, *size: int) -> Path:
    """Export the detector of this kind; do not write to the file, which tests share."""
    export_onnx(predictor_of(kind), path, noise_images((size[0], size[1])))
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("exported") / "m.onnx", "yolov1", 96, 128)


@pytest.fixture(scope="module")
def exported_fcos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes images of any size."""
    return written(tmp_path_factory.mktemp("exported") / "m.onnx", "fcos", 120, 200)


def test_metadata_and_interface_of_the_file(exported_fcos: Path) -> None:
    predictor, model = predictor_of("fcos"), onnx.load(exported_fcos)
    onnx.checker.check_model(model)
    assert shapes(model.graph.input) == {"images": ["batch", 3, "height", "width"], "sizes": ["batch", 2]}
    most = predictor.max_detections
    expected = {"boxes": ["batch", most, 4], "scores": ["batch", most], "labels": ["batch", most], "counts": ["batch"]}
    assert shapes(model.graph.output) == expected
    metadata = json.loads(next(entry.value for entry in model.metadata_props if entry.key == METADATA_KEY))
    assert (metadata["class_names"], metadata["pad_multiple"], metadata["input_size"]) == (list(NAMES), 32, None)
    assert metadata["mean"] == pytest.approx([0.485, 0.456, 0.406])


def shapes(values: Any) -> dict[str, list[object]]:
    return {value.name: [row.dim_value or row.dim_param for row in value.type.tensor_type.shape.dim] for value in values}


def test_interface_with_scores_and_boxes_at_locations(tmp_path: Path) -> None:
    export_onnx(predictor_of("fcos"), tmp_path / "model.onnx", noise_images((120, 200)), ExportSettings(outputs="locations", batch_size=1))
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert shapes(graph.input) == {"images": [1, 3, "height", "width"]}
    assert shapes(graph.output) == {"scores": [1, "locations", 3], "boxes": [1, "locations", 4], "levels": [5]}


def test_options_and_pyramid_with_an_exported_file(exported_fcos: Path) -> None:
    shown = noise_images((120, 200))
    exported = detkit.load(exported_fcos, classes=["c"], min_score=0.3)
    detections = exported(shown[0])
    assert set(detections.labels.tolist()) == {2}
    assert float(detections.scores.min()) >= 0.3
    assert len(ImagePyramid(exported, scales=(1.0, 2.0))(shown[0]))


def test_file_with_different_outputs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = OneStageDetections.forward

    def wrong(self: OneStageDetections, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        boxes, scores, *others = forward(self, *inputs)
        return (boxes, scores + 0.01, *others)

    monkeypatch.setattr(OneStageDetections, "forward", wrong)
    (tmp_path / "model.onnx").write_text("older")
    message = r"model\.onnx: not written: its outputs differ from those of the detector: .*scores differ by up to 0\.01"
    with pytest.raises(ValueError, match=message):
        export_onnx(predictor_of("yolov1"), tmp_path / "model.onnx", noise_images((96, 128)))
    assert (tmp_path / "model.onnx").read_text() == "older"
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]


def test_compare_detects_differences(exported: Path) -> None:
    predictor, shown = predictor_of("yolov1"), noise_images((96, 128))
    assert compare(predictor, str(exported), shown).holds
    with torch.no_grad():
        for name, parameter in predictor.detector.named_parameters():
            parameter.add_(0.05 * (name.startswith("head") and name.endswith("bias")))
    assert not compare(predictor, str(exported), shown).holds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(b"nothing"), r"m\.onnx: not an ONNX file that onnxruntime can run"),
        (lambda path: path.unlink(), r"m\.onnx: no such file"),
        (lambda path: onnx.save(_without_metadata(path), path), r"m\.onnx: not written by detkit"),
        (lambda path: onnx.save(_with_newer_format(path), path), r"m\.onnx: written by detkit .* in a newer format; update detkit"),
    ],
)
def test_invalid_files(change: Callable[[Path], object], message: str, exported: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(exported, tmp_path))
    change(path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        detkit.load(path)


METADATA: list[tuple[object, str]] = [
    ("[1, 2]", "its metadata is damaged: "),
    ("not JSON", "its metadata is damaged: expected JSON, got 'not JSON'"),
    ("[" * 100_000, "its metadata is damaged: expected JSON"),
    ({"format": "1"}, "its metadata is damaged: .*format"),
    ({"class_names": "cat"}, "its metadata is damaged: .*class_names"),
    ({"class_names": []}, "its metadata is damaged: .*class_names"),
    ({"class_names": [1, 2, 3]}, "its metadata is damaged: .*class_names"),
    ({"outputs": "locations"}, "expected the input images and the outputs scores, boxes and levels, got images, sizes, and "),
    ({"outputs": "everything"}, "its metadata is damaged: .*outputs"),
    ({"mean": [0.1]}, "its metadata is damaged: .*mean"),
    ({"mean": "red"}, "its metadata is damaged: .*mean"),
    ({"pad_multiple": 0}, "its metadata is damaged: .*pad_multiple"),
    ({"pad_multiple": 10**9}, "its metadata is damaged: .*pad_multiple"),
    ({"preprocess": '{"rule": "fixed", "input_size": [1000000, 1000000]}'}, "its metadata is damaged: .*at most"),
    ({"batch_size": -1}, "its metadata is damaged: .*batch_size"),
    ({"batch_size": 10**9}, "its metadata states a batch size of 1000000000, but it takes any"),
    ({"input_size": [5]}, "its metadata is damaged: .*input_size"),
    ({"input_size": [7, 9]}, "expected images of 9 x 7 pixels"),
    ({"min_score": "high"}, "its metadata is damaged: .*min_score"),
    ({"preprocess": "{}x"}, "its metadata is damaged: "),
    ({"preprocess": {"rule": "fixed"}}, "its metadata is damaged: .*preprocess"),
    ({"postprocess": '{"nms_iou": 7}'}, "its metadata is damaged: .*nms_iou"),
    ({"unheard_of": 1}, "its metadata is damaged: .*unheard_of"),
    ({"mean": None}, "its metadata is damaged: .*mean"),
]


@pytest.mark.parametrize(("change", "message"), METADATA, ids=range(len(METADATA)))
def test_wrong_metadata_is_one_sentence(change: object, message: str, exported: Path, tmp_path: Path) -> None:
    model, path = onnx.load(exported), tmp_path / "m.onnx"
    entry = model.metadata_props[0]
    entry.value = json.dumps(json.loads(entry.value) | change) if isinstance(change, dict) else str(change)
    onnx.save(model, path)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: {message}") as caught:
        detkit.load(path)(noise_images((96, 128))[0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("outputs", "given"), [("detections", "labels up to 2"), ("locations", r"scores of shape \(1, \d+, 3\)")])
def test_more_classes_than_names(outputs: Any, given: str, exported_fcos: Path, tmp_path: Path) -> None:
    path, shown = tmp_path / "m.onnx", noise_images((96, 128))
    if outputs == "detections":
        shutil.copy(exported_fcos, path)
    else:
        export_onnx(predictor_of("fcos"), path, shown, ExportSettings(outputs=outputs))
    model = onnx.load(path)
    entry = model.metadata_props[0]
    entry.value = json.dumps(json.loads(entry.value) | {"class_names": ["a"]})
    onnx.save(model, path)
    with pytest.raises(ValueError, match=rf"m\.onnx: its metadata names 1 classes, but it gives {given}; export it again"):
        detkit.load(path)(shown[0])


def test_every_missing_key_is_named(exported: Path, tmp_path: Path) -> None:
    for key in json.loads(onnx.load(exported).metadata_props[0].value):
        if not ExportMetadata.model_fields[key].is_required():  # older files have none
            continue
        model, path = onnx.load(exported), tmp_path / "m.onnx"
        entry = model.metadata_props[0]
        values = json.loads(entry.value)
        del values[key]
        entry.value = json.dumps(values)
        onnx.save(model, path)
        with pytest.raises(ValueError, match=rf"m\.onnx: its metadata is damaged: .*{key}"):
            load_exported(path)


def test_a_file_with_other_outputs(exported: Path, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    entrance, exit_ = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 4, 4]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", [entrance], [exit_])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"other\.onnx: not written by detkit"):
        detkit.load(tmp_path / "other.onnx")
    source = onnx.load(exported)
    model.metadata_props.extend(source.metadata_props)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(
        ValueError,
        match=r"other\.onnx: expected the inputs images and sizes and the outputs boxes, scores, labels and counts, got x, and y",
    ):
        detkit.load(tmp_path / "other.onnx")


def _without_metadata(path: Path) -> Any:
    model = onnx.load(path)
    del model.metadata_props[:]
    return model


def _with_newer_format(path: Path) -> Any:
    model = onnx.load(path)
    metadata = json.loads(model.metadata_props[0].value)
    model.metadata_props[0].value = json.dumps(metadata | {"format": 99})
    return model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "device 'cuda': an exported file runs on the CPU"),
        ({"precision": "bf16"}, "precision 'bf16': an exported file runs in the precision that it was written in"),
        ({"reference": True}, "reference is not supported by exported files"),
    ],
)
def test_unsupported_options(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        detkit.load(tmp_path / "m.onnx", **options)


def test_detectors_that_cannot_be_exported(tmp_path: Path) -> None:
    class OtherDetector(Detector):
        pass

    detector = OtherDetector(predictor_of("fcos").detector.neck, 3)
    predictor = Predictor(detector, SMALL, NAMES, "cpu", "fp32", reference=True)
    with pytest.raises(ValueError, match="OtherDetector cannot be exported; these can: .*faster_rcnn"):
        export_onnx(predictor, tmp_path / "m.onnx", noise_images((96, 128)))
    fast = Predictor(predictor_of("fcos").detector, SMALL, NAMES, "cpu", "fp32")
    with pytest.raises(ValueError, match=r"cannot be exported; load the detector with device=.cpu. and reference=True"):
        export_onnx(fast, tmp_path / "m.onnx", noise_images((96, 128)))
    with pytest.raises(ValueError, match=r"m\.pb: expected a file name ending in \.onnx"):
        export_onnx(predictor, tmp_path / "m.pb", [])


@pytest.mark.parametrize(
    ("library", "action", "package"), [("onnx", "write", "'detkit-vision[export]'"), ("onnxruntime", "read", "onnxruntime")]
)
def test_missing_library(library: str, action: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"{library}, which .* is not installed: pip install {re.escape(package)}$"):
        export_onnx(predictor_of("yolov1"), path, []) if action == "write" else detkit.load(path)


def test_export_command_and_detection_with_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small_config("fcos")
    predictor = predictor_of("fcos")
    save_checkpoint(tmp_path / "best.safetensors", predictor.detector.state_dict(), make_header(config.to_json(), NAMES, min_score=0.2))
    assert main(["export", str(tmp_path), "--output", str(tmp_path / "m.onnx")]) == 0
    output = capsys.readouterr().out
    assert re.search(r"written: .*m\.onnx, \d+\.\d MB", output)
    assert re.search(r"compared on 1 image: scores differ by at most \d\.\de-\d+, boxes by \d.*; \d+ of \d+ detections agree", output)
    assert main(["detect", "--model", str(tmp_path / "m.onnx"), "--no-draw"]) == 0
    output = capsys.readouterr().out
    assert "on cpu in fp32" in output
    assert "minimum score: 0.2, as this model suggests" in output
    with pytest.raises(ValueError, match=r"m\.onnx: exported files support only detection and evaluation"):
        load_detector(tmp_path / "m.onnx")
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path), "--output", str(tmp_path / "m.onnx"), "--batch-size", "0"])
    assert "--batch-size: expected a whole number of 1 or more, got '0'" in capsys.readouterr().err


def test_evaluation_matches_the_detector(tmp_path: Path) -> None:
    data = make_sample(tmp_path / "data", 3, val_images=2).val
    assert data is not None
    labeled = read_source(data)
    predictor = predictor_of("fcos", labeled.class_names)
    export_onnx(predictor, tmp_path / "m.onnx", noise_images((120, 200)))
    actual, expected = detkit.evaluate(tmp_path / "m.onnx", labeled), detkit.evaluate(predictor, labeled)
    assert actual.values == pytest.approx(expected.values, abs=1e-3, nan_ok=True)
    counts = [rows.detections for rows in expected.classes]
    assert sum(counts) > 10
    assert [rows.detections for rows in actual.classes] == counts
