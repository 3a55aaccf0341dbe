"""``detkit propose`` on painted images with a labeled square each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detkit.cli.main import main
from detkit.data import read_image
from detkit.proposals import selective_search

BOXES = ((10, 8, 40, 28), (5, 12, 25, 40))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with images a, b and c of 60 x 48, in ``photos``, and the truth about them; c has no objects."""
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    annotations = []
    for number, name in enumerate("abc"):
        image = np.full((48, 60, 3), 40 * number, dtype=np.uint8)
        if number < 2:
            x1, y1, x2, y2 = BOXES[number]
            image[y1:y2, x1:x2] = (220, 200, 30)
            annotations.append({"id": number + 1, "image_id": number, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0})
        Image.fromarray(image).save(photos / f"{name}.png")
    images = [{"id": number, "file_name": f"{name}.png", "width": 60, "height": 48} for number, name in enumerate("abc")]
    for row in annotations:
        row["area"] = row["bbox"][2] * row["bbox"][3]  # type: ignore[index]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "square"}]}
    (tmp_path / "truth.json").write_text(json.dumps(content))
    return tmp_path


def test_images_and_both_kinds_of_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_filters_and_the_limit(folder: Path) -> None:
    words = ["propose", "photos/a.png", "--mode", "single", "--output", "out.json"]
    assert main([*words, "--max-proposals", "1", "--max-aspect", "1.5", "--min-area", "500"]) == 0
    (image,) = json.loads((folder / "out.json").read_text("utf-8"))["images"]
    ((x1, y1, x2, y2),) = image["boxes"]
    assert (x2 - x1) * (y2 - y1) >= 500
    assert max(x2 - x1, y2 - y1) <= 1.5 * min(x2 - x1, y2 - y1)


def test_a_report_on_labeled_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["propose", "truth.json", "--images", "photos", "--mode", "single", "--cache", "kept", "--report", "--json", "numbers.json"]
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
    assert "3 images remembered" in out
    assert (folder / "plots" / "new.png").is_file()
    assert {**json.loads((folder / "numbers.json").read_text("utf-8")), "seconds_of_each": 0, "peak_memory_bytes": 0} == {
        **numbers,
        "seconds_of_each": 0,
        "peak_memory_bytes": 0,
    }


def test_a_report_where_nothing_is_proposed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["propose", "truth.json", "--images", "photos", "--mode", "single", "--report", "--json", "numbers.json", "--min-area", "1e9"]
    assert main(words) == 0
    assert json.loads((folder / "numbers.json").read_text("utf-8"))["all"]["recall_50"] == 0
    assert "no proposals of 3 images: 0 each" in capsys.readouterr().out


def test_a_image_that_cannot_be_read_does_not_stop_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "photos" / "b.png").write_bytes(b"no image")
    assert main(["propose", "photos", "--mode", "single", "--output", "out.json"]) == 1
    captured = capsys.readouterr()
    assert "b.png" in captured.err
    assert "1 image could not be read" in captured.out
    images = json.loads((folder / "out.json").read_text("utf-8"))["images"]
    assert len(images) == 3
    assert [row["file"] for row in images if "error" in row] == ["photos/b.png"]


@pytest.mark.slow
def test_several_processes_give_the_same(folder: Path) -> None:
    for processes in ("1", "2"):
        assert main(["propose", "photos", "--mode", "single", "--processes", processes, "--output", f"{processes}.json"]) == 0
    assert (folder / "1.json").read_text("utf-8") == (folder / "2.json").read_text("utf-8")
