"""``detkit data``."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detkit.cli.main import main

SCRIPTS = Path(__file__).resolve().parents[2] / "datasets"


def test_fetch_prints_the_plan_and_the_next_step(serve_bccd: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serve_bccd()
    target = tmp_path / "data"
    assert main(["data", "fetch", "bccd", str(target), "--yes"]) == 0
    out = capsys.readouterr().out
    assert "BCCD. MIT license." in out
    assert "size not stated, checksum not stated; to download" in out
    assert "total: size not stated, to download into" in out
    assert "master.zip: downloaded and verified; unpacking" in out
    assert "master.zip: 729 files" in out
    assert f"{target}: ready; train on it with: detkit train CONFIG data={target}" in out
    assert main(["data", "fetch", "bccd", str(target)]) == 0
    assert "unpacked already" in capsys.readouterr().out


def test_without_yes_nothing_is_downloaded(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["data", "fetch", "coco", str(tmp_path / "coco"), "--parts", "train", "val"]) == 2
    out, err = capsys.readouterr()
    assert "19.3 GB" in out
    assert "total: 20.4 GB, to download" in out
    assert "COCO itself states none" in out
    assert "nothing was downloaded" in out
    assert "to download without confirmation, add --yes" in err
    assert not (tmp_path / "coco").exists()


def test_the_question_is_asked_on_a_terminal(
    serve_bccd: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_bccd()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert main(["data", "fetch", "bccd", str(tmp_path / "data")]) == 2
    monkeypatch.setattr("builtins.input", lambda question: "Yes")
    assert main(["data", "fetch", "bccd", str(tmp_path / "data")]) == 0
    assert (tmp_path / "data" / "JPEGImages").is_dir()


def test_an_interruption_says_how_to_resume(
    serve_bccd: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("detkit.curation.fetch.fetch_archive", interrupt)
    assert main(["data", "fetch", "bccd", str(tmp_path / "data"), "--yes"]) == 130
    assert "stopped; run the same command again to resume" in capsys.readouterr().err


def test_errors_are_one_line(serve_bccd: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serve_bccd(300)
    assert main(["data", "fetch", "bccd", str(tmp_path / "data"), "--yes"]) == 2
    assert "detkit: error: " in (err := capsys.readouterr().err)
    assert "expected 364 files, got 300" in err


def test_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "sample"
    words = ["--train-images", "2", "--val-images", "1", "--format", "yolo", "--short-side", "64", "--seed", "3"]
    assert main(["data", "example", str(target), *words]) == 0
    assert (target / "data.yaml").is_file()
    assert f"{target}: ready; train on it with: detkit train {target}\n" in capsys.readouterr().out
    assert main(["data", "example", str(target), *words]) == 0
    capsys.readouterr()
    assert main(["data", "example", str(target), "--train-images", "2"]) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "message"), [([], "COMMAND"), (["fetch"], "DATASET"), (["fetch", "imagenet"], "imagenet")])
def test_an_incomplete_command_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["data", *words])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fetch_bccd", "fetch_coco", "fetch_voc", "make_sample"])
def test_the_scripts_are_the_commands(name: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPTS / f"{name}.py"), "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: detkit data ")
    assert ("--short-side" if name == "make_sample" else "--keep") in done.stdout
