"""``detkit data merge``, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_data import write_coco

from detkit.cli.main import main
from detkit.curation import convert, read_parts

BOX = {"image": 0, "category_id": 1, "bbox": [1, 2, 10, 10]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two data sets, of which the first is YOLO."""
    write_coco(tmp_path / "coco", "train", {"1.png": (64, 48)}, [BOX], {1: "dog"})
    convert(tmp_path / "coco", tmp_path / "yolo", "yolo")
    write_coco(tmp_path / "other", "val", {"1.png": (64, 50)}, [BOX, {**BOX, "image": 0, "bbox": [90, 90, 5, 5]}], {1: "Dog"})
    return tmp_path


def test_the_last_word_is_the_output_and_the_first_gives_the_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "merge", str(folder / "yolo"), str(folder / "other"), str(folder / "new")]) == 0
    out = capsys.readouterr().out
    assert "boxes skipped because they are outside their image: 1" in out
    assert "classes 'dog' and 'Dog' differ only by case or spaces" in out
    assert "train: 1 images, 1 boxes\nval: 1 images, 1 boxes\n" in out
    assert (folder / "new" / "data.yaml").is_file()
    assert read_parts(folder / "new").class_names == ("dog", "Dog")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["yolo", "new"], "merge: expected two data sets or more, got 1"),
        (["yolo", "other"], "other: it exists and is not empty; nothing is overwritten"),
        (["yolo", "other", "yolo/new"], "it is in the folder of the source"),
        (["yolo", "nothing", "new"], "nothing"),
    ],
)
def test_errors_are_one_line(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert main(["data", "merge", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (folder / "new").exists()
