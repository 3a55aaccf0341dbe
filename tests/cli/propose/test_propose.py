"""``detkit propose`` on drawn images with a labeled square each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.main import main
from detkit.data import read_image
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.proposals import selective_search

BOXES = ((10, 8, 40, 28), (5, 12, 25, 40))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with images a, b and c of 60 x 48, in ``photos``, and their labels; c has no objects."""
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    annotations: list[dict[str, Any]] = []
    for number, name in enumerate("abc"):
        image = np.full((48, 60, 3), 40 * number, dtype=np.uint8)
        if number < 2:
            x1, y1, x2, y2 = BOXES[number]
            image[y1:y2, x1:x2] = (220, 200, 30)
            annotations.append({"id": number + 1, "image_id": number, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0})
        Image.fromarray(image).save(photos / f"{name}.png")
    images = [{"id": number, "file_name": f"{name}.png", "width": 60, "height": 48} for number, name in enumerate("abc")]
    for row in annotations:
        row["area"] = row["bbox"][2] * row["bbox"][3]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "square"}]}
    (tmp_path / "labels.json").write_text(json.dumps(content))
    return tmp_path


def test_images_and_both_output_formats(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["propose", "photos", "--mode", "single", "--output", "out.json"]) == 0
    out = capsys.readouterr().out
    assert "of 3 images" in out
    assert "first image" in out
    assert "(cold)" in out
    content = json.loads((folder / "out.json").read_text("utf-8"))
    assert [Path(row["file"]).name for row in content["images"]] == ["a.png", "b.png", "c.png"]
    expected = selective_search(read_image(folder / "photos" / "a.png"), "single")
    np.testing.assert_allclose(content["images"][0]["boxes"], expected.boxes.numpy(), atol=0.01)
    assert main(["propose", "photos", "--mode", "single", "--output", "out.npz"]) == 0
    with np.load(folder / "out.npz", allow_pickle=False) as arrays:
        assert arrays["sizes"].tolist() == [[48, 60]] * 3
        start, end = arrays["offsets"][:2]
        np.testing.assert_array_equal(arrays["boxes"][start:end], expected.boxes.numpy())
        assert len(arrays["scores"]) == arrays["offsets"][-1]


def test_filters_and_max_proposals(folder: Path) -> None:
    words = ["propose", "photos/a.png", "--mode", "single", "--output", "out.json"]
    assert main([*words, "--max-proposals", "1", "--max-aspect", "1.5", "--min-area", "500"]) == 0
    (image,) = json.loads((folder / "out.json").read_text("utf-8"))["images"]
    ((x1, y1, x2, y2),) = image["boxes"]
    assert (x2 - x1) * (y2 - y1) >= 500
    assert max(x2 - x1, y2 - y1) <= 1.5 * min(x2 - x1, y2 - y1)


def test_report_on_labeled_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "propose",
        "--data",
        "labels.json",
        "--images",
        "photos",
        "--mode",
        "single",
        "--cache",
        "kept",
        "--recall",
        "--json",
        "numbers.json",
    ]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "2 objects without crowds" in out
    assert "written: runs/propose-1/recall.png" in out
    numbers = json.loads((folder / "numbers.json").read_text("utf-8"))
    assert numbers["images"] == 3
    assert numbers["all"]["recall_50"] == numbers["all"]["recall_70"] == 1
    assert numbers["all"]["mabo"] > 0.9
    assert numbers["curve"][0]["first"] == 1
    assert Image.open(folder / "runs" / "propose-1" / "recall.png").size == (720, 480)
    assert main([*words, "--plot", "plots/new.png"]) == 0
    out = capsys.readouterr().out
    assert "3 images from the cache" in out
    assert (folder / "plots" / "new.png").is_file()
    assert {**json.loads((folder / "numbers.json").read_text("utf-8")), "seconds_of_each": 0, "peak_memory_bytes": 0} == {
        **numbers,
        "seconds_of_each": 0,
        "peak_memory_bytes": 0,
    }


def test_report_without_proposals(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "propose",
        "--data",
        "labels.json",
        "--images",
        "photos",
        "--mode",
        "single",
        "--recall",
        "--json",
        "numbers.json",
        "--min-area",
        "1e9",
    ]
    assert main(words) == 0
    assert json.loads((folder / "numbers.json").read_text("utf-8"))["all"]["recall_50"] == 0
    assert "no proposals in 3 images, 0 per image" in capsys.readouterr().out


def test_unreadable_images_are_reported_and_skipped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "photos" / "b.png").write_bytes(b"no image")
    assert main(["propose", "photos", "--mode", "single", "--output", "out.json"]) == 1
    captured = capsys.readouterr()
    assert "b.png" in captured.err
    assert "1 image could not be read" in captured.out
    images = json.loads((folder / "out.json").read_text("utf-8"))["images"]
    assert len(images) == 3
    assert [row["file"] for row in images if "error" in row] == ["photos/b.png"]


def test_a_region_proposal_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    config = FasterRCNNConfig(
        backbone=BackboneConfig(name="shufflenet_v2_x0_5", weights=None),
        neck=FPNConfig(out_channels=8),
        preprocess=PreprocessConfig(short_side=64, long_side=96),
    )
    header = make_header(config.to_json(), ["square"])
    save_checkpoint(folder / "runs" / "first-1" / "best.safetensors", config.build(1).state_dict(), header)
    words = ["propose", "photos/a.png", "--max-proposals", "5", "--output", "out.json"]
    assert main([*words, "--latest"]) == 0
    out = capsys.readouterr().out
    assert f"model: {Path('runs/first-1/best.safetensors')} (the newest run; 1 class), on cpu in fp32" in out
    assert "proposals: rpn, mode fast, of 1 image" in out
    first = json.loads((folder / "out.json").read_text("utf-8"))
    assert main([*words, "--model", "runs/first-1"]) == 0
    assert json.loads((folder / "out.json").read_text("utf-8")) == first
    assert main([*words, "--model", "runs/first-1", "--backend", "opencv"]) == 2
    assert "--model replaces --backend opencv; give one of the two" in capsys.readouterr().err


@pytest.mark.slow
def test_the_number_of_processes_does_not_change_the_proposals(folder: Path) -> None:
    for processes in ("1", "2"):
        assert main(["propose", "photos", "--mode", "single", "--processes", processes, "--output", f"{processes}.json"]) == 0
    assert (folder / "1.json").read_text("utf-8") == (folder / "2.json").read_text("utf-8")
