"""``detkit data tile`` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labeled_parts import part, parts, write
from PIL import Image

from detkit.cli.main import main
from detkit.curation.parts import read_parts


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [(0, (5.0, 5.0, 25.0, 15.0)), (1, (48.0, 30.0, 68.0, 40.0))]
    train = part({"sub/a.png": rows, "b.png": []}, (50, 90))
    return write(parts(train=train, val=part({"c.png": rows[:1]}, (50, 50), first_id=8)), tmp_path / "source")


def run(*words: object) -> int:
    return main(["data", "tile", *map(str, words)])


def test_tiles_are_written_with_their_pixels_and_boxes(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, tmp_path / "out", "--tile-size", 50) == 0
    text = capsys.readouterr().out
    assert "images not larger than a tile, kept whole: 1" in text
    assert "images cut: 2" in text
    assert "boxes of which a tile shows too little, in that tile: 1" in text
    data = read_parts(tmp_path / "out")
    train = data.parts["train"]
    assert train.names == ("sub/a_0_0.png", "sub/a_40_0.png", "b_0_0.png", "b_40_0.png")
    assert train.data.records.is_crowd.tolist() == [False, True, False]
    assert train.data.records.boxes.tolist() == [[5, 5, 25, 15], [48, 30, 50, 40], [8, 30, 28, 40]]
    whole = np.asarray(Image.open(source / "images" / "train" / "sub" / "a.png"))
    tile = np.asarray(Image.open(tmp_path / "out" / "images" / "train" / "sub" / "a_40_0.png"))
    assert (tile == whole[:50, 40:]).all()
    assert data.parts["val"].names == ("c.png",)


def test_tiles_without_objects(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, tmp_path / "out", "--tile-size", "50x60", "--empty", "drop", "--partial", "drop") == 0
    assert "tiles without objects left out: 2" in capsys.readouterr().out
    assert read_parts(tmp_path / "out").parts["train"].names == ("sub/a_0_0.png", "sub/a_30_0.png")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tile-size", "0"], "argument --tile-size"),
        (["--tile-size", "50", "--overlap", "1"], "expected a number from 0 to below 1, such as 0.2; got '1'"),
        (["--tile-size", "50", "--empty", "some"], "expected keep, drop, or a number from 0 to 1, got 'some'"),
        ([], "the following arguments are required: --tile-size"),
    ],
)
def test_errors(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(source, tmp_path / "out", *words)
    assert message in capsys.readouterr().err
