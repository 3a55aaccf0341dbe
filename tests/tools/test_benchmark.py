"""Timing of detkit and other libraries: ``tools/benchmark.py``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from detkit.structures import Detections

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(autouse=True)
def tools_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    # The allocator of the test process stays as it is.
    monkeypatch.setattr("detkit.cli.process.keep_freed_memory", lambda: False)


def run(arguments: list[str], folder: Path) -> dict[str, object]:
    import benchmark

    file = folder / "report.json"
    assert benchmark.main([*arguments, "--rounds", "1", "--json", str(file)]) == 0
    report: dict[str, object] = json.loads(file.read_text())
    return report


def detections(boxes: list[list[float]], scores: list[float], labels: list[int]) -> Detections:
    return Detections(Tensor(boxes).reshape(-1, 4), Tensor(scores), torch.tensor(labels, dtype=torch.int64))


def test_evaluation_times_both_sides_with_equal_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run(["evaluate", "--images", "20", "--detections", "300"], tmp_path)
    assert set(report["seconds"]) == {"pycocotools", "detkit"}  # type: ignore[call-overload]
    assert report["largest_difference"] < 1e-9  # type: ignore[operator]
    text = capsys.readouterr().out
    assert "threads" in text
    assert "peak memory" in text


def test_selection(tmp_path: Path) -> None:
    report = run(["select", "--candidates", "500", "--classes", "5"], tmp_path)
    assert report["targets"] == {"detkit": 2.0}


def test_proposals_with_and_without_timing(tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = shared / "data" / "voc100"
    arguments = ["propose", "single", "--data", str(data / "annotations" / "pascalvoc_format"), "--images", str(data / "images")]
    report = run([*arguments, "--limit", "3", "--no-package"], tmp_path)
    assert (report["data"], report["images"], len(report["seconds"]["detkit"])) == ("voc100", 3, 2)  # type: ignore[index]
    assert report["cold_seconds"] > 0  # type: ignore[operator]
    (row,) = report["quality"]  # type: ignore[misc]
    assert 0.3 < row["mabo"] < 1  # type: ignore[index]
    untimed = run([*arguments, "--limit", "3", "--no-package", "--untimed"], tmp_path)
    assert (untimed["seconds"], untimed["quality"]) == ({}, report["quality"])
    assert "first image" not in capsys.readouterr().out.rpartition("Selective search")[2]


def test_ratios_compare_medians_with_the_first_side() -> None:
    from benchmarks.timing import Report

    report = Report("x", {"peer": [4.0, 2.0, 9.0], "own": [1.0, 3.0, 2.0], "slow": [8.0]}, {"own": 1.9, "slow": 1.0})
    assert report.ratios() == {"peer": 1.0, "own": 2.0, "slow": 0.5}
    assert "1.9x: reached" in report.text()
    assert "1x: MISSED" in report.text()


def test_sides_alternate() -> None:
    from benchmarks.timing import in_turn

    calls: list[str] = []
    seconds = in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2, warm_up=1)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2}


def test_matches_need_the_same_label_and_place() -> None:
    from benchmarks.fidelity import matched

    reference = detections([[0, 0, 100, 100], [200, 0, 300, 100], [0, 200, 100, 300], [5, 5, 6, 6]], [0.9, 0.8, 0.7, 0.3], [0, 1, 2, 0])
    other = detections([[0, 0, 101, 100], [200, 0, 300, 100], [0, 200, 90, 300]], [0.4, 0.8, 0.7], [0, 2, 2])
    assert matched([reference], [reference]) == 1.0
    assert matched([reference], [other]) == pytest.approx(1 / 3)
    assert matched([reference], [detections([], [], [])]) == 0.0


@pytest.mark.slow
def test_yolox_with_onnxruntime(tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    image = next(iter(sorted((shared / "data" / "coco_sample" / "images").iterdir())))
    files = [str(shared / "weights" / name) for name in ("yolox_nano_coco.onnx", "yolox_nano_coco_convs_in_graph_order.npz")]
    report = run(["yolox", *files, "--image", str(image)], tmp_path)
    assert len(report["seconds"]) == 8  # type: ignore[arg-type]
    counts = [int(part.rsplit(" ", 1)[1]) for part in report["notes"][1].split(", ")]  # type: ignore[index]
    assert max(counts) == min(counts) > 0
    assert "whole call" in capsys.readouterr().out


@pytest.mark.slow
def test_detection_and_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import detection
    from benchmarks.timing import has_bf16, in_turn, products

    monkeypatch.setattr(detection, "in_turn", lambda sides, rounds, warm_up=0: in_turn(sides, rounds, warm_up=0))
    monkeypatch.setattr(detection, "products", lambda: products(side=128, rounds=1))
    sides = 4 if has_bf16() else 3
    size = ["--short-side", "160", "--long-side", "192"]
    for model in ("faster_rcnn", "ssd"):
        report = run(["detect", "--model", model, *size], tmp_path)
        assert len(report["seconds"]) == sides  # type: ignore[arg-type]
        assert " 0" not in report["notes"][0].replace(",", "")  # type: ignore[index]
    assert len(run(["train", *size, "--batch-size", "1"], tmp_path)["seconds"]) == sides  # type: ignore[arg-type]


@pytest.mark.slow
def test_detectors_on_the_same_proposals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    pixels = torch.randint(256, (40, 60, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).numpy()
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    arguments = ["regions", "--image", str(tmp_path / "noise.png"), "--proposals", "6", "--warp", "64", "--hidden", "8"]
    report = run(arguments, tmp_path)
    assert set(report["seconds"]) == {"R-CNN", "SPPNet, five scales", "SPPNet, one scale", "Fast R-CNN"}  # type: ignore[call-overload]
    assert report["targets"] == {"Fast R-CNN": 20.0}
    assert 1 <= report["proposals"] <= 6  # type: ignore[operator]
    assert min(len(report[name]) for name in ("feature_seconds", "loop_seconds")) == 1  # type: ignore[arg-type]
    text = capsys.readouterr().out
    assert "which every side needs in addition" in text
    assert "one crop at a time in fp32" in text


@pytest.mark.slow
def test_the_parts_of_the_time_to_the_first_box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run(["startup"], tmp_path)
    assert "tools/detect.py PHOTO" in report["seconds"]  # type: ignore[operator]
    parts: dict[str, float] = report["parts"]  # type: ignore[assignment]
    assert min(parts.values()) > 0
    assert parts.pop("total") == pytest.approx(sum(parts.values()), abs=1e-3)
    assert list(parts)[:3] == ["interpreter", "imports of the command", "imports of the runtime"]
    assert {"session", "decode", "resize", "inference", "selection", "drawing", "writing", "exit"} <= set(parts)
    text = capsys.readouterr().out
    assert "PHOTO within 1.2 s: " in text
    assert "to the first box, median milliseconds: interpreter " in text


@pytest.mark.slow
def test_the_first_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run(["first"], tmp_path)
    assert len(report["seconds"]["python tools/detect.py"]) == 1  # type: ignore[index]
    assert capsys.readouterr().out.count(", limit ") == 3
    from benchmarks.first import numbers, verdict

    assert numbers("a.png (4 x 3): 1 detection in 78 ms -> b\npeak memory 1,024 MB") == (0.078, 1024)
    assert numbers("2 detections in 1.5 s\npeak memory 9 MB") == (1.5, 9)
    assert verdict("peak memory", 1024).endswith("MISSED")
    with pytest.raises(ValueError, match="expected a time and a peak memory"):
        numbers("")


def test_the_output_file_is_checked_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import benchmark

    with pytest.raises(SystemExit):
        benchmark.main(["select", "--json", str(tmp_path)])
    assert "expected a file name, got a folder" in capsys.readouterr().err


@pytest.mark.slow
def test_a_server_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run(["serve", "--clients", "4", "--seconds", "3", "--threads", "1"], tmp_path)
    assert set(report["seconds"]) == {"plain loop", "server", "server alone"}  # type: ignore[call-overload]
    statuses: dict[str, dict[str, int]] = report["statuses"]  # type: ignore[assignment]
    assert set(statuses["load"]) == {"200"}
    assert set(statuses["full queue"]) == {"200", "503"}
    text = capsys.readouterr().out
    assert "statuses other than 200 and 503: none; exit code after SIGTERM: 0" in text
    assert "resident memory of the server: " in text


@pytest.mark.slow
def test_tracking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("trackers")
    report = run(["tracking", "--clips", "2", "--frames", "30"], tmp_path)
    rows = {(row["tracker"], row["missed"]): row for row in report["trackers"]}  # type: ignore[attr-defined]
    for missed in (0.0, 0.1, 0.3):
        ours, theirs = rows["sort, all classes", missed], rows["trackers:sort", missed]
        assert [ours[name] for name in ("IDF1", "HOTA", "MOTA", "IDSW")] == [theirs[name] for name in ("IDF1", "HOTA", "MOTA", "IDSW")]
    assert rows["sort", 0.0]["IDF1"] > rows["sort", 0.3]["IDF1"] > 0.2
    low, high = rows["sort", 0.3]["intervals"]["IDF1"]
    assert low <= rows["sort", 0.3]["IDF1"] <= high
    assert all(row["median"] > 0 for row in report["update_milliseconds"])  # type: ignore[attr-defined]
    assert "IDF1 minus that of sort" in capsys.readouterr().out
