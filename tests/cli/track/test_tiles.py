"""An object that moves over the border of two tiles keeps its id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bright import predictor
from videos import film

import detkit.inference
from detkit.cli.main import main


def test_an_object_keeps_its_id_across_the_borders_of_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The red object, 20 pixels wide, moves through images of 240 pixels that are seen in tiles of 64."""
    monkeypatch.setattr(detkit.inference, "load", lambda *_, **options: predictor(64, **options))
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "a.mp4", frames=60, size=(60, 240))
    words = ("--tiles", "64", "--tile-overlap", "0.4", "--tiles-only", "--classes", "red", "--json", "a.json", "--no-draw")
    assert main(["track", "a.mp4", "--model", "bright", *words]) == 0
    content: dict[str, Any] = json.loads(Path("a.json").read_text("utf-8"))
    (source,) = content["sources"]
    assert [(row["track"], row["frames"]) for row in source["tracks"]] == [(1, 59)]
    boxes = [frame["tracks"][0]["box"] for frame in source["frames"][1:]]
    assert all(abs(box[0] - 3 * number) < 3 and box[2] - box[0] > 14 for number, box in enumerate(boxes, 1))
    assert "tiles" in content["pyramid"]
