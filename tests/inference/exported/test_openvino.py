"""Exported files in OpenVINO: the detections of the original, clear errors."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from noisy import NAMES, assert_equal, noise

import detkit
from detkit.inference import Predictor, load_exported
from detkit.inference.exported.openvino import OpenVinoRuntime
from detkit.inference.runtime import is_exported
from detkit.machine import bf16_support

pytest.importorskip("onnx")
openvino = pytest.importorskip("openvino")
SIZES = ((60, 80), (90, 50), (48, 48), (60, 80), (200, 300))


@pytest.fixture(scope="module")
def runtime(xml_file: Path) -> OpenVinoRuntime:
    return OpenVinoRuntime.open(xml_file, threads=1)


@pytest.mark.oracle("PyTorch", "exported file in OpenVINO", tolerance="boxes 1e-2 px, scores 1e-4")
def test_detections_are_those_of_the_network(original: Predictor, runtime: OpenVinoRuntime) -> None:
    predictor = Predictor.over(runtime)
    assert predictor.class_names == NAMES
    images = noise(*SIZES)
    expected = original(images)
    assert min(len(rows) for rows in expected) > 5
    for ours, theirs in zip(predictor(images), expected, strict=True):
        assert_equal(ours.numpy(), theirs.numpy())


def test_onnx_files_run_too(original: Predictor, onnx_file: Path) -> None:
    (image,) = noise((60, 80))
    assert_equal(Predictor.over(OpenVinoRuntime.open(onnx_file))(image).numpy(), original(image).numpy())


def test_load_opens_the_file(original: Predictor, xml_file: Path) -> None:
    (image,) = noise((60, 80))
    assert is_exported(xml_file)
    expected = original(image).numpy()
    assert_equal(detkit.load(xml_file)(image).numpy(), expected)
    limited = load_exported(xml_file, max_detections=3, classes=["dog"])(image)
    best = expected[:3]
    assert [row.class_name for row in limited] == ["dog"] * int((best.labels == 2).sum())


def test_images_of_a_batch_do_not_influence_one_another(runtime: OpenVinoRuntime) -> None:
    images = noise((60, 80), (60, 80), (60, 80))
    alone, together = Predictor.over(runtime, batch_size=1), Predictor.over(runtime, batch_size=3)
    for one, other in zip(alone(images), together(images), strict=True):
        assert_equal(one.numpy(), other.numpy())


def test_an_image_without_objects(runtime: OpenVinoRuntime) -> None:
    predictor = Predictor.over(runtime, min_score=0.999)
    assert len(predictor(np.zeros((64, 64, 3), np.uint8))) == 0
    assert predictor.left_out[0] is not None


def test_several_threads_share_one_runtime(runtime: OpenVinoRuntime) -> None:
    images = noise((60, 80), (90, 50), (48, 48), (100, 70))
    expected = [Predictor.over(runtime)(image).numpy() for image in images]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            results = list(pool.map(lambda image: Predictor.over(runtime)(image).numpy(), images))
            for ours, theirs in zip(results, expected, strict=True):
                assert_equal(ours, theirs)


def test_settings_reach_openvino(runtime: OpenVinoRuntime, xml_file: Path) -> None:
    """Without the precision, OpenVINO multiplies in bfloat16 where the processor can."""
    assert runtime._compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert runtime._compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert runtime.info.precision == "fp32"
    with pytest.raises(ValueError, match="threads: expected 1 or more, got 0"):
        OpenVinoRuntime.open(xml_file, threads=0)


def test_bf16_only_where_the_processor_has_it(runtime: OpenVinoRuntime, xml_file: Path) -> None:
    if bf16_support().instructions is None:
        with pytest.raises(ValueError, match="precision 'bf16': this processor has no bfloat16 instructions"):
            OpenVinoRuntime.open(xml_file, precision="bf16")
        return
    halved = OpenVinoRuntime.open(xml_file, precision="bf16")
    assert halved.info.precision == "bf16"
    (image,) = noise((60, 80))
    fast, exact = Predictor.over(halved)(image), Predictor.over(runtime)(image)
    assert abs(float(fast.scores[0] - exact.scores[0])) < 0.05
    assert (fast.scores[:3] != exact.scores[:3]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "device 'cuda': an exported file runs on the CPU"),
        ({"precision": "fp16"}, "precision 'fp16': an exported file runs in the precision that it was written in or in bf16"),
        ({"max_detections": 0}, "max_detections: expected 1 or more, got 0"),
    ],
)
def test_unsupported_settings_are_refused(xml_file: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OpenVinoRuntime.open(xml_file, **options)  # type: ignore[arg-type]


def copied(xml_file: Path, folder: Path) -> Path:
    for suffix in (".xml", ".bin"):
        shutil.copy(xml_file.with_suffix(suffix), folder / f"copy{suffix}")
    return folder / "copy.xml"


def test_damaged_files_are_refused(xml_file: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing.xml"):
        OpenVinoRuntime.open(tmp_path / "nothing.xml")
    file = copied(xml_file, tmp_path)
    weights = bytearray(file.with_suffix(".bin").read_bytes())
    weights[1000] ^= 1
    file.with_suffix(".bin").write_bytes(weights)
    with pytest.raises(ValueError, match="copy.bin: does not belong to .*copy.xml, or is damaged"):
        OpenVinoRuntime.open(file)
    file.with_suffix(".bin").unlink()
    with pytest.raises(FileNotFoundError, match="copy.bin: not found; it holds the weights"):
        OpenVinoRuntime.open(file)
    file.with_suffix(".bin").write_bytes(b"")
    file.write_text("<annotation><object/></annotation>")
    with pytest.raises(ValueError, match="copy.xml: not a file that OpenVINO can run"):
        OpenVinoRuntime.open(file)


def test_files_of_other_programs_are_refused(tmp_path: Path) -> None:
    from openvino import opset13

    parameter = opset13.parameter([1, 3, 8, 8], openvino.Type.f32, "images")
    model = openvino.Model([opset13.relu(parameter)], [parameter])
    openvino.save_model(model, str(tmp_path / "other.xml"))
    with pytest.raises(ValueError, match="other.xml: not written by detkit"):
        OpenVinoRuntime.metadata(tmp_path / "other.xml")


def test_metadata_is_read_without_compiling(xml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr(openvino.Core, "compile_model", fail)
    assert OpenVinoRuntime.metadata(xml_file)["class_names"] == NAMES
    assert OpenVinoRuntime.metadata(xml_file.with_suffix(".onnx"))["class_names"] == NAMES


def test_a_missing_library_is_one_sentence(xml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError, match=r"openvino, which runs it, is not installed: pip install 'detkit-vision\[openvino\]'"):
        OpenVinoRuntime.open(xml_file)
