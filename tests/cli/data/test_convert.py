"""``detkit data convert``, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_data import write_mixed

from detkit.cli.main import main
from detkit.curation import read_parts


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A COCO data set with outlines and crowds."""
    write_mixed(tmp_path / "data", outlines=True, sides=((84, 78), (90, 90)))
    return tmp_path / "data"


def test_what_was_written_and_lost_is_printed(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new"
    assert main(["data", "convert", str(data), str(new), "--format", "voc"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "train: 3 images, 62 boxes",
        "val: 3 images, 62 boxes",
        "not in voc: crowds, written as difficult objects: 8",
        "not in voc: ids of images: 6",
        "not in voc: ids of classes: 5",
        "image ids of the source are in mapping.csv",
        f"{new}: ready; look at it with: detkit data check {new}",
    ]


def test_parts_images_and_labels_without_images(data: Path, tmp_path: Path) -> None:
    words = ["data", "convert", str(data), str(tmp_path / "new"), "--format", "coco", "--parts", "val", "--copy", "none"]
    assert main(words) == 0
    assert not list((tmp_path / "new").rglob("*.png"))
    file = tmp_path / "new" / "annotations" / "instances_val.json"
    assert main(["data", "convert", str(file), str(tmp_path / "yolo"), "--format", "yolo", "--images", str(data / "images" / "val")]) == 0
    assert read_parts(tmp_path / "yolo").image_count == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "yolo", "--strict"], "nothing was written: omit --strict, or write coco"),
        (["--format", "yolo", "--parts", "tost"], "it has no split 'tost': expected one of: train, val"),
    ],
)
def test_errors_are_one_line(data: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "convert", str(data), str(tmp_path / "new"), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "new").exists()


def test_a_format_is_needed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["data", "convert", str(data), "new"])
    assert "the following arguments are required: --format" in capsys.readouterr().err
