"""``detkit data filter`` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from labeled_parts import part, parts, write

from detkit.cli.main import main
from detkit.curation.parts import read_parts

SMALL, BIG = (10.0, 10.0, 14.0, 18.0), (0.0, 0.0, 60.0, 50.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    train = part({"day/a.png": [(0, SMALL), (1, BIG)], "b.png": [(1, SMALL)]})
    return write(parts(train=train, val=part({"c.png": [(0, SMALL)]}, first_id=8)), tmp_path / "source")


def run(*words: object) -> int:
    return main(["data", "filter", *map(str, words)])


def test_boxes_and_images_are_dropped_and_counted(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(source, out, "--min-side", 5, "--names", "a.png|b.png") == 0
    text = capsys.readouterr().out
    assert "images dropped: name without a match of 'a.png|b.png': 1" in text
    assert "boxes dropped with their images: 1" in text
    assert "boxes dropped: shorter side below 5 pixels: 2" in text
    assert "val: no image is left, so the part is left out" in text
    assert "2 objects are still in the images without a box, and a detector learns them as background" in text
    assert "train: 2 images, 1 box" in text
    data = read_parts(out)
    assert {name: one.names for name, one in data} == {"train": ("day/a.png", "b.png")}
    assert data.class_names == ("cat", "dog", "traffic light")
    assert (out / "images" / "train" / "day" / "a.png").read_bytes() == (source / "images" / "train" / "day" / "a.png").read_bytes()
    assert read_parts(source).box_count == 4


def test_ignored_boxes_are_crowds(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, tmp_path / "out", "--min-box-area", "5%", "--ignore") == 0
    text = capsys.readouterr().out
    assert "boxes turned into ignore regions: area below 5 % of the image: 3" in text
    assert "background" not in text
    assert read_parts(tmp_path / "out").parts["train"].data.records.is_crowd.tolist() == [True, False, True]


def test_conditions_and_classes(source: Path, tmp_path: Path) -> None:
    assert run(source, tmp_path / "out", "--classes", "dog,cat", "--where", "cat>0", "dog>0") == 0
    data = read_parts(tmp_path / "out")
    assert (data.class_names, {name: one.names for name, one in data}) == (("cat", "dog"), {"train": ("day/a.png",)})
    assert run(source, tmp_path / "val", "--parts", "val") == 0
    assert list(read_parts(tmp_path / "val").parts) == ["val"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--classes", "kat"], "filter: the data has no class 'kat': did you mean 'cat'?"),
        (["--where", "boxes"], "condition 'boxes': expected comparisons such as boxes>0 or cat>=2"),
        (["--where", "boxes>7"], "no image is left of 3: not boxes>7: 3"),
        (["--min-box-area", "big"], "expected square pixels, such as 400, or 0.5%, got 'big'"),
        (["--min-side", "-1"], "expected a number of pixels, got '-1'"),
    ],
)
def test_errors(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    try:
        code = run(source, tmp_path / "out", *words)
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
