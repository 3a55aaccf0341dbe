"""``detkit data label-errors`` with a detector whose detections are known."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "curation" / "label_errors"))

from labeled_scenes import Scenes

import detkit.inference
from detkit.cli.main import main
from detkit.curation.output import OutputOptions, write_parts


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of which one lacks a label; the detector is replaced by one that finds everything."""
    scenes = Scenes(20)
    scenes.remove(3, 1)
    (tmp_path / "images").mkdir()
    write_parts(scenes.parts(tmp_path / "images"), tmp_path / "data", OutputOptions(kind="coco"))
    monkeypatch.setattr(detkit.inference, "load", lambda *_, **__: scenes.predictor())
    return tmp_path / "data"


def test_everything_is_written(data: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["--labels", str(tmp_path / "todo"), "--format", "voc", "--top", "1"]
    assert main(["data", "label-errors", str(data), str(tmp_path / "new"), *words]) == 0
    out = capsys.readouterr().out
    assert "59 labels in 20 images" in out
    assert "missing box: 1" in out
    assert "does not state its training data" in out
    errors = json.loads((tmp_path / "new" / "label_errors.json").read_text("utf-8"))
    assert (errors["candidates"][0]["file"], errors["candidates"][0]["kind"]) == ("003.png", "missing box")
    assert (tmp_path / "new" / "label_errors.csv").read_text("utf-8").startswith("rank,score,kind")
    assert "003.png" in (tmp_path / "new" / "label_errors.html").read_text("utf-8")
    (annotations,) = (tmp_path / "todo").rglob("003.xml")
    assert "<name>?" in annotations.read_text("utf-8")


@pytest.mark.parametrize("taken", ["new", "todo"])
def test_nothing_is_overwritten(data: Path, tmp_path: Path, capsys: Any, taken: str) -> None:
    (tmp_path / taken).mkdir()
    (tmp_path / taken / "mine").touch()
    assert main(["data", "label-errors", str(data), str(tmp_path / "new"), "--labels", str(tmp_path / "todo")]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert not (tmp_path / "new" / "label_errors.json").exists()
