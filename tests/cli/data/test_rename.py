"""``detkit data rename`` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from labeled_parts import part, parts, write

from detkit.cli.main import main
from detkit.curation.parts import read_parts

BOX = (10.0, 10.0, 30.0, 30.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    train = part({"a.png": [(0, BOX), (1, BOX)], "b.png": [(2, BOX), (2, BOX)]})
    return write(parts(train=train, val=part({"c.png": [(0, BOX)]}, first_id=8)), tmp_path / "source")


def run(*words: object) -> int:
    return main(["data", "rename", *map(str, words)])


def test_the_table_is_printed_and_written(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, tmp_path / "out", "cat=pet", "dog=pet", "--drop", "traffic light") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["class", "new", "name", "boxes"],
        ["cat", "pet", "2"],
        ["dog", "pet", "1"],
        ["traffic", "light", "(dropped)", "2"],
    ]
    assert "pet: joined from cat, dog" in lines
    assert any(line.startswith("2 objects of dropped classes are still in the images") for line in lines)
    data = read_parts(tmp_path / "out")
    assert (data.class_names, data.box_count, data.image_count) == (("pet",), 3, 3)
    assert read_parts(source).class_names == ("cat", "dog", "traffic light")


def test_a_file_with_names(source: Path, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("traffic light,Lamp\ndog,\n", "utf-8")
    assert run(source, tmp_path / "out", "--file", tmp_path / "names.csv", "--lower", "--format", "yolo") == 0
    assert read_parts(tmp_path / "out").class_names == ("cat", "lamp")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kat=pet"], "rename: the data has no class 'kat': did you mean 'cat'?"),
        (["cat"], "class rename 'cat': expected DATA_NAME=NEW_NAME"),
        ([], "rename: expected OLD=NEW, --drop, --file, --lower or --strip, got none of them"),
        (["--drop", "cat", "dog", "traffic light"], "no class is left"),
    ],
)
def test_errors(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert run(source, tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_part_without_boxes_is_reported(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, tmp_path / "out", "--drop", "cat") == 0
    assert "val: no box is left, and detkit does not read such a part" in capsys.readouterr().out
