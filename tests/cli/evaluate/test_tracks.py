"""``detkit evaluate --metric hota``, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from track_files import sequence, write_rows

from detkit.cli.main import main


def write(folder: Path, names: tuple[str, ...]) -> None:
    for seed, name in enumerate(names):
        labels, results = sequence(seed)
        write_rows(folder / "gt" / name / "gt" / "gt.txt", labels)
        write_rows(folder / "results" / f"{name}.txt", results)


def test_one_sequence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, ("a",))
    files = ["--annotations", str(tmp_path / "gt/a/gt/gt.txt"), "--results", str(tmp_path / "results/a.txt")]
    assert main(["evaluate", *files, "--metric", "hota", "--json", str(tmp_path / "numbers.json")]) == 0
    text = capsys.readouterr().out
    numbers = json.loads((tmp_path / "numbers.json").read_text("utf-8"))
    assert f"{numbers['tracks']['HOTA']:.3f}" in text
    assert numbers["tracks"] == numbers["sequences"]["gt"]
    assert "not evaluated" in text


def test_folders_of_sequences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, ("a", "b"))
    folders = ["--annotations", str(tmp_path / "gt"), "--results", str(tmp_path / "results")]
    assert main(["evaluate", *folders, "--metric", "hota"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["a", "b", "all"]
    (tmp_path / "results" / "b.txt").unlink()
    assert main(["evaluate", *folders, "--metric", "hota"]) == 2
    assert "b.txt: the results of a sequence are missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--metric hota needs --annotations gt.txt --results tracks.txt"),
        (["--annotations", "gt.txt", "--results", "tracks.txt", "--details"], "--details is about detections"),
        (["--annotations", "gt.txt", "--results", "tracks.txt"], "gt.txt: no such file or folder"),
    ],
)
def test_errors(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *flags, "--metric", "hota"]) == 2
    assert message in capsys.readouterr().err
