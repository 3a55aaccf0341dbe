"""``detkit data subset`` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from labeled_parts import part, parts, write

from detkit.cli.main import main
from detkit.curation.parts import read_parts

BOX = (10.0, 10.0, 30.0, 30.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    train = part({f"{n}.png": [(n % 2, BOX)] for n in range(12)})
    return write(parts(train=train, val=part({f"v{n}.png": [(0, BOX)] for n in range(4)}, first_id=90)), tmp_path / "source")


def run(*words: object) -> int:
    return main(["data", "subset", *map(str, words)])


def sizes(folder: Path) -> dict[str, int]:
    return {name: len(one) for name, one in read_parts(folder)}


def test_numbers_and_fractions(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, tmp_path / "a", "--count", 8) == 0
    assert "8 of 16 images" in capsys.readouterr().out
    assert sizes(tmp_path / "a") == {"train": 6, "val": 2}
    assert run(source, tmp_path / "b", "--fraction", 0.25, "--complete", "val") == 0
    assert sizes(tmp_path / "b") == {"train": 3, "val": 4}
    assert set(read_parts(tmp_path / "b").parts["train"].names) <= set(read_parts(tmp_path / "a").parts["train"].names)


def test_boxes_per_class(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, tmp_path / "a", "--per-class", 2) == 0
    text = capsys.readouterr().out
    assert "train: all boxes of these classes, which are fewer than 2: traffic light 0" in text
    assert "val: all boxes of these classes, which are fewer than 2: dog 0, traffic light 0" in text
    assert sizes(tmp_path / "a") == {"train": 4, "val": 2}


def test_lists(source: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("3.png\nv0.png\n\n", "utf-8")
    (tmp_path / "ids.txt").write_text("91\n", "utf-8")
    assert run(source, tmp_path / "a", "--names-file", tmp_path / "names.txt") == 0
    assert {name: one.names for name, one in read_parts(tmp_path / "a")} == {"train": ("3.png",), "val": ("v0.png",)}
    assert run(source, tmp_path / "b", "--ids-file", tmp_path / "ids.txt") == 0
    assert {name: one.names for name, one in read_parts(tmp_path / "b")} == {"val": ("v1.png",)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "subset: expected one of --count or --fraction"),
        (["--count", "3", "--ids-file", "ids.txt"], "subset: expected one of --count or --fraction"),
        (["--count", "3", "--complete", "vall"], "it has no part 'vall': did you mean 'val'?"),
        (["--ids-file", "missing.txt"], "missing.txt"),
    ],
)
def test_errors(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert run(source, tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
