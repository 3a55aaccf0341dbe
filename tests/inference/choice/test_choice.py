"""Runtimes chosen by name: the same detections in all, the cache of exported files, and clear errors."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from noisy import assert_equal, noise, noisy_checkpoint

import detkit
from detkit.checkpoint.operating_points import OperatingPoint, OperatingPoints
from detkit.inference.choice import auto, cache
from detkit.inference.choice.cache import CacheEntry, exports_folder, prune
from detkit.inference.choice.measure import milliseconds

pytest.importorskip("onnx")
pytest.importorskip("openvino")
RUNTIMES = ("torch", "onnx", "openvino")
POINTS = OperatingPoints(
    "best F1 at IoU .5", "made", 12, OperatingPoint("all", 0.3, 0.7, 0.6, 0.65), {"dog": OperatingPoint("dog", 0.45, 0.9, 0.5, 0.64)}
)


@pytest.fixture(scope="module", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noisy_checkpoint(tmp_path_factory.mktemp("run") / "best.safetensors", POINTS)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_every_runtime_gives_the_same_detections(checkpoint: Path, runtime: str) -> None:
    images = noise((60, 80), (90, 50), (60, 80))
    for options in ({}, {"min_score": 0.4, "classes": ["dog"]}, {"min_score": 0.0, "batch_size": 2}):
        expected, actual = (detkit.load(checkpoint, precision="fp32", runtime=name, **options) for name in ("torch", runtime))
        assert actual.class_names == expected.class_names
        assert actual.operating_points == expected.operating_points == POINTS
        assert actual.min_scores.points == expected.min_scores.points
        assert actual.reported == expected.reported
        assert actual.batch_size == expected.batch_size
        assert actual.max_detections == expected.max_detections
        for ours, theirs in zip(actual(images), expected(images), strict=True):
            assert_equal(ours.numpy(), theirs.numpy())
    assert len(actual(np.zeros((40, 40, 3), np.uint8))) == len(expected(np.zeros((40, 40, 3), np.uint8)))


def test_a_limit_on_detections_has_its_own_file(checkpoint: Path) -> None:
    (image,) = noise((60, 80))
    limits = [detkit.load(checkpoint, runtime="onnx", min_score=0.0, max_detections=limit)(image) for limit in (3, 150)]
    assert len(limits[0]) == 3
    assert len(limits[1]) > 3


def test_a_file_is_written_once_and_damaged_ones_again(checkpoint: Path, cache_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "detkit")
    detkit.load(checkpoint, runtime="onnx")
    caplog.clear()
    first = detkit.load(checkpoint, runtime="onnx").runtime.path  # type: ignore[attr-defined]
    assert not caplog.records
    assert first.is_relative_to(cache_home)
    content = bytearray(first.read_bytes())
    content[-100] ^= 1
    first.write_bytes(content)
    second = detkit.load(checkpoint, runtime="onnx").runtime.path  # type: ignore[attr-defined]
    assert second == first
    assert f"kept for the next time: {first}" in caplog.text
    (first.parent / "entry.json").write_text("{")
    caplog.clear()
    detkit.load(checkpoint, runtime="onnx")
    assert "kept for the next time" in caplog.text


def test_another_checkpoint_has_another_entry(checkpoint: Path, tmp_path: Path) -> None:
    content = checkpoint.read_bytes()
    (tmp_path / "same.safetensors").write_bytes(content)
    same, own = (detkit.load(path, runtime="onnx").runtime.path for path in (tmp_path / "same.safetensors", checkpoint))  # type: ignore[attr-defined]
    assert same == own
    keys = {cache.entry_of("a", {"max_detections": limit}).folder for limit in (None, 100)} | {cache.entry_of("b", {}).folder}
    assert len(keys) == 3
    assert exports_folder() == own.parent.parent


def test_auto_takes_the_fastest_and_remembers_it(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "detkit")
    measured: list[list[str]] = []

    def times(predictors: dict[str, object], images: object) -> dict[str, float]:
        measured.append(list(predictors))
        return {"torch": 9.0, "onnx": 3.0, "openvino": 7.0}

    monkeypatch.setattr(auto, "milliseconds", times)
    for _ in range(2):
        predictor = detkit.load(checkpoint, "cpu", "fp32", runtime="auto")
        assert predictor.runtime.library == "onnxruntime"  # type: ignore[attr-defined]
    assert measured == [list(RUNTIMES)]
    assert "runtime: onnx, the fastest on this machine (torch 9.0, onnx 3.0, openvino 7.0 ms per image; remembered in" in caplog.text
    assert "measured before, see" in caplog.text
    monkeypatch.setattr(auto, "milliseconds", lambda *_: {"torch": 1.0, "onnx": 3.0})
    entry = predictor.runtime.path.parent / "entry.json"  # type: ignore[attr-defined]
    record = json.loads(entry.read_text())
    name = next(name for name in record if name.startswith("fastest"))
    entry.write_text(json.dumps(record | {name: {"runtime": "gone", "milliseconds": {}}}))
    assert type(detkit.load(checkpoint, "cpu", "fp32", runtime="auto").runtime).__name__ == "TorchRuntime"


def test_auto_leaves_out_what_is_missing(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "detkit")
    monkeypatch.setattr(auto, "missing_packages", lambda name: ["onnx"])
    assert type(detkit.load(checkpoint, "cpu", "auto", runtime="auto", max_detections=7).runtime).__name__ == "TorchRuntime"
    assert "runtime onnx is not considered: onnx not installed" in caplog.text


def test_the_median_of_interleaved_calls_counts() -> None:
    order: list[str] = []
    now = iter([0.0, *(float(step) for step in range(1000))])
    times = milliseconds({name: lambda _, name=name: order.append(name) for name in "ab"}, ["image"], clock=lambda: next(now))
    assert order[2:8] == ["a", "b"] * 3
    assert times == {"a": 1000.0, "b": 1000.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "onx"}, r"runtime 'onx': .*did you mean.*onnx"),
        ({"runtime": "onnx", "reference": True}, "reference: it needs the network as published, and runtime='onnx' runs an exported file"),
        ({"runtime": "openvino", "svd": (4, 4)}, "svd: it needs the network's layers"),
        ({"runtime": "onnx", "precision": "bf16"}, "precision 'bf16': runtime='onnx' runs in fp32; use runtime='torch'"),
        ({"runtime": "openvino", "device": "cuda"}, "device 'cuda': runtime='openvino' runs on the CPU"),
        ({"runtime": "torch", "threads": 0}, "threads: expected 1 or more, got 0"),
    ],
)
def test_what_a_runtime_cannot_do_is_refused(checkpoint: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detkit.load(checkpoint, **options)  # type: ignore[arg-type]


def test_what_needs_the_network_says_so(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="exported files support only detection and evaluation"):
        _ = detkit.load(checkpoint, runtime="onnx").detector


def test_exported_files_run_in_what_can_run_them(checkpoint: Path, tmp_path: Path) -> None:
    file = detkit.load(checkpoint, runtime="onnx").runtime.path  # type: ignore[attr-defined]
    assert detkit.load(file, runtime="auto").runtime.library == "onnxruntime"  # type: ignore[attr-defined]
    assert detkit.load(file, runtime="openvino").runtime.library == "openvino"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="runtime='torch' runs checkpoints"):
        detkit.load(file, runtime="torch")
    with pytest.raises(ValueError, match="runtime='onnx' cannot run .xml files"):
        detkit.load(tmp_path / "x.xml", runtime="onnx")


def test_threads_are_those_of_torch(checkpoint: Path) -> None:
    before = torch.get_num_threads()
    try:
        runtime = detkit.load(checkpoint, runtime="openvino", threads=1).runtime
        assert torch.get_num_threads() == 1
        assert runtime._compiled.get_property("INFERENCE_NUM_THREADS") == 1  # type: ignore[attr-defined]
    finally:
        torch.set_num_threads(before)


def test_writers_of_one_entry_wait_for_one_another(tmp_path: Path) -> None:
    entry, writes = CacheEntry(tmp_path / "exports" / "key", {}), []

    def write(path: Path) -> None:
        writes.append(path)
        path.write_text("content")

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: entry.file("model.onnx", (), write), range(4)))
    assert [path.read_text() for path, _ in results] == ["content"] * 4
    assert sorted(is_new for _, is_new in results) == [False, False, False, True]
    assert len(writes) == 1


def test_a_failed_export_leaves_no_file(tmp_path: Path) -> None:
    entry = CacheEntry(tmp_path / "exports" / "key", {})

    def fail(path: Path) -> None:
        path.write_text("half")
        raise ValueError("it differs")

    with pytest.raises(ValueError, match="it differs"):
        entry.file("model.onnx", (), fail)
    assert entry.file("model.onnx", (), lambda path: path.write_text("whole") and None)[1]


def test_the_oldest_entries_leave_a_full_cache(tmp_path: Path) -> None:
    for age, name in enumerate("cba"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_bytes(b"0" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert prune(tmp_path, tmp_path / "a", 250) == [tmp_path / "b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]
