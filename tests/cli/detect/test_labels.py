"""``detkit detect --labels``: a data set from detections."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bright import BrightDetector, image, predictor, saved
from PIL import Image
from torch import Tensor, zeros
from videos import film

import detkit.inference
from detkit.cli.detect.job import DetectJob
from detkit.cli.main import main
from detkit.data import DetectionData, SourceConfig, read_image, read_source
from detkit.structures import Detections


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two images and one without objects; ``--model bright`` is a detector of bright rectangles."""
    monkeypatch.setattr(detkit.inference, "load", lambda *_, **options: predictor(60, **{**options, "svd": None}))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for i in (1, 2):
        saved(tmp_path / "in", f"image_{i}.png", image(red=(10 * i, 20, 30, 40)))
    saved(tmp_path / "in", "image_3.png", np.zeros((50, 70, 3), np.uint8))
    return tmp_path


def detect(*words: str) -> int:
    return main(["detect", "--model", "bright", "--no-draw", *words])


def read(folder: str = "made") -> DetectionData:
    return read_source(SourceConfig(path=folder, split="train"))


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo", "labelme"])
def test_written_labels_are_read_back(folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("in", "--labels", "made", "--labels-format", kind) == 0
    out = capsys.readouterr().out
    assert "labels: 3 images, 4 boxes to correct; then train on them with: detkit train made\n" in out
    assert out.splitlines()[-1] == "written: made"
    data = read()
    assert data.class_names == ("red", "green")
    assert [(Path(record.path).name, record.size, len(record.targets)) for record in data.records] == [
        ("image_1.png", (60, 80), 2),
        ("image_2.png", (60, 80), 2),
        ("image_3.png", (50, 70), 0),
    ]
    for number, record in enumerate(data.records, 1):
        assert np.array_equal(read_image(record.path), read_image(f"in/image_{number}.png"))
    targets = data.records[1].targets
    boxes = {data.class_names[label]: box for label, box in zip(targets.labels.tolist(), targets.boxes.tolist(), strict=True)}
    assert boxes == {"red": pytest.approx([20, 20, 30, 40], abs=1e-4), "green": pytest.approx([40, 5, 60, 15], abs=1e-4)}


def test_default_format_is_yolo_and_frames_become_images(folder: Path) -> None:
    film(folder / "clip.mp4", frames=5)
    assert detect("clip.mp4", "--every", "2", "--labels", "made") == 0
    assert sorted(path.name for path in Path("made/images/train").iterdir()) == ["clip_000000.jpg", "clip_000002.jpg", "clip_000004.jpg"]
    labels = sorted(path.name for path in Path("made/labels/train").iterdir())
    assert labels == ["classes.txt", "clip_000000.txt", "clip_000002.txt", "clip_000004.txt"]
    assert Path("made/labels/train/classes.txt").read_text() == "red\ngreen\n"
    last = read().records[2]
    assert read_image(last.path)[30, 22, 0] > 200
    assert last.targets.boxes[0].tolist() == pytest.approx([12, 20, 32, 40], abs=3)


def test_images_with_the_same_name_keep_their_labels(folder: Path) -> None:
    (folder / "other").mkdir()
    saved(folder / "other", "Image_1.jpg", image(red=(50, 20, 70, 40)))
    assert detect("in/image_1.png", "other", "--labels", "made") == 0
    first, second = read().records
    assert sorted([Path(first.path).name, Path(second.path).name]) == ["Image_1-2.jpg", "image_1.png"]
    for record in (first, second):
        box = [50, 20, 70, 40] if "-2" in str(record.path) else [10, 20, 30, 40]
        assert record.targets.boxes[0].tolist() == pytest.approx(box, abs=2)


def test_images_with_unknown_extensions_are_saved_as_png(folder: Path) -> None:
    for name in ("download", "scan.pbmx"):
        saved(folder, name, image(), format="PNG")
    assert detect("download", "scan.pbmx", "--labels", "made") == 0
    assert sorted(path.name for path in Path("made/images/train").iterdir()) == ["download.png", "scan.pbmx.png"]
    assert [len(record.targets) for record in read().records] == [2, 2]
    assert np.array_equal(read_image(read().records[0].path), image())


def test_boxes_without_area_are_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(
        BrightDetector, "_one", lambda *_: Detections(Tensor([[0, 9, 4, 9], [1, 2, 3, 4]]), Tensor([0.9, 0.8]), zeros(2).long())
    )
    assert detect("in/image_1.png", "--labels", "made") == 0
    assert "labels: 1 image, 1 box to correct" in capsys.readouterr().out
    assert len(Path("made/labels/train/image_1.txt").read_text().splitlines()) == 1


def test_only_the_requested_classes_are_written(folder: Path) -> None:
    assert detect("in", "--labels", "made", "--classes", "green") == 0
    assert read().class_names == ("green",)
    assert [record.targets.labels.tolist() for record in read().records] == [[0], [0], []]


def test_a_pyramid_writes_labels(folder: Path) -> None:
    assert detect("in", "--labels", "made", "--pyramid", "1", "2") == 0
    assert read().class_names == ("red", "green")


def test_a_rotated_photograph_is_copied_unchanged(folder: Path) -> None:
    pixels = image(red=(10, 20, 30, 40))
    exif = Image.Exif()
    exif[274] = 6
    saved(folder, "turned.jpg", np.rot90(pixels), exif=exif, quality=95)
    assert detect("turned.jpg", "--labels", "made") == 0
    (record,) = read().records
    assert Path(record.path).read_bytes() == Path("turned.jpg").read_bytes()
    assert record.size == (60, 80)
    assert record.targets.boxes[0].tolist() == pytest.approx([10, 20, 30, 40], abs=2)


def test_corrected_labels_are_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "made").mkdir()
    assert detect("in/image_1.png", "--labels", "made") == 0
    assert detect("in/image_2.png", "--labels", "made") == 2
    assert (
        "--labels made: expected a new or empty folder, as labels in it may have been corrected; give another one"
        in capsys.readouterr().err
    )
    assert detect("in/image_2.png", "--labels", "in/image_1.png") == 2
    assert "--labels in/image_1.png: expected a folder, got a file" in capsys.readouterr().err
    assert [Path(record.path).name for record in read().records] == ["image_1.png"]


def test_unreadable_images_have_no_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.jpg").write_bytes(b"")
    assert detect("bad.jpg", "--labels", "made") == 1
    assert "labels: no image" in capsys.readouterr().out
    assert not Path("made").exists()
    assert detect("bad.jpg", "in/image_1.png", "--labels", "made") == 1
    assert len(read().records) == 1


def test_an_interruption_keeps_the_labels_of_processed_images(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DetectJob._keep

    def keep(job: Any, result: Any, pixels: Any) -> Any:
        if job.tally.images == 2:
            raise KeyboardInterrupt
        return original(job, result, pixels)

    monkeypatch.setattr("detkit.cli.detect.job.DetectJob._keep", keep)
    assert detect("in", "--labels", "made") == 130
    assert len(read().records) == 2


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import detkit.inference
from bright import predictor
from detkit.cli.detect.job import DetectJob
from detkit.cli.main import main
detkit.inference.load = lambda *_, **options: predictor(60, **{{**options, "svd": None}})
keep = DetectJob._keep
def killing(job, result, pixels):
    kept = keep(job, result, pixels)
    if len(job.results) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return kept
DetectJob._keep = killing
import detkit.cli.detect.label_writer as labels
labels._UPDATE_SECONDS = labels._UPDATE_COST = 0.0
words = "detect --model bright in clip.mp4 --labels made --labels-format {kind} --json a.json --csv a.csv"
main(words.split())
"""


@pytest.mark.parametrize("kind", ["yolo", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("voc", "coco"))])
def test_a_killed_command_leaves_what_it_had_detected(folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "clip.mp4", frames=5)
    tests = str(Path(__file__).parents[2] / "inference")
    code = KILLED.format(tests=tests, kind=kind)
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == -signal.SIGKILL
    data = read_source(SourceConfig(path="made", split=None if kind == "voc" else "train"))  # VOC's list of images is written at the end
    boxes = {record.path.stem: len(record.targets) for record in data.records}
    assert boxes == {"image_1": 2, "image_2": 2, "image_3": 0, "clip_000000": 2, "clip_000001": 2}
    assert data.report.totals() == {}
    header, *rows = map(json.loads, Path("a.json.partial").read_text().splitlines())
    assert (header["partial"], header["model"], header["class_names"]) == (True, "bright", ["red", "green", None])
    assert [(Path(row["file"]).name, row.get("frame"), len(row["detections"])) for row in rows] == [
        *((f"image_{number}.png", None, 2 * (number < 3)) for number in (1, 2, 3)),
        *(("clip.mp4", frame, 2) for frame in (0, 1)),
    ]
    assert not any(Path(name).exists() for name in ("a.json", "a.csv", "runs/detect-1/clip.mp4"))
    assert len(list(Path("runs/detect-1").glob(".clip.mp4.*.tmp.mp4"))) == 1
    assert main(["detect", "--model", "bright", "in", "clip.mp4", "--json", "a.json"]) == 0
    assert not Path("a.json.partial").exists()
    assert list(Path("runs").rglob(".*.tmp*")) == []


def test_a_partial_file_of_the_user_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json.partial").write_text("mine")
    assert detect("in", "--json", "a.json") == 2
    assert "a.json.partial: expected no such file, as it would be overwritten" in capsys.readouterr().err
    assert Path("a.json.partial").read_text() == "mine"
