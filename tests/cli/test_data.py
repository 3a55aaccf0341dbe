"""The flags of ``detkit data``; tests/curation tests what the commands do."""

from __future__ import annotations

from pathlib import Path

import pytest

from detkit.cli.main import main
from detkit.data import SourceConfig, read_source


def test_unknown_parts_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "voc", str(tmp_path / "voc"), "--parts", "2008"]) == 2
    assert capsys.readouterr().err == "detkit: error: Pascal VOC 2007 and 2012: unknown part '2008': did you mean '2007'?\n"
    assert not (tmp_path / "voc").exists()


def test_parts_are_refused_for_data_sets_without_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["data", "fetch", "bccd", str(tmp_path), "--parts", "a"])
    assert "unrecognized arguments: --parts a" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--train-images", "--val-images", "--short-side"])
@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_numbers_of_the_example_are_positive(flag: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["data", "example", str(tmp_path / "a"), f"{flag}={value}"])
    assert f"argument {flag}: expected a whole number of 1 or more, got '{value}'" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_example_has_a_third_as_many_validation_images(tmp_path: Path) -> None:
    assert main(["data", "example", str(tmp_path / "a"), "--train-images", "6", "--short-side", "64"]) == 0
    assert [len(read_source(SourceConfig(path=str(tmp_path / "a"), split=split))) for split in ("train", "val")] == [6, 2]
