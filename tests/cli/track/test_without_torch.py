"""``detkit track`` with the detector inside the package: in onnxruntime, without PyTorch, and with the objects of a photograph."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from without_libraries import SLOW_LIBRARIES, run_without

from detkit.cli.inputs import sample_photograph


def pan(path: Path, frames: int = 5) -> Path:
    """Write a film of a camera that moves over a photograph of a cat."""
    photograph = np.asarray(Image.open(sample_photograph()).convert("RGB"))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (380, 300))
    for number in range(frames):
        writer.write(np.ascontiguousarray(photograph[:300, 6 * number : 6 * number + 380, ::-1]))
    writer.release()
    return path


def test_a_cat_is_tracked_counted_and_drawn_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    libraries = tuple(name for name in SLOW_LIBRARIES if name != "scipy")  # scipy matches tracks and detections
    words = ("--json", "a.json", "--csv", "a.csv", "--mot", "a.txt", "--zone", "0.1,0.1,0.9,0.1,0.9,0.9,0.1,0.9")
    out = run_without(libraries, "track", pan(tmp_path / "cat.mp4"), *words)
    assert "minimum score: 0.2, as this model suggests" in out
    assert "from 0.3 a detection starts a track, from 0.2 it continues one, from 0.1 if no better one does" in out
    (source,) = json.loads(Path("a.json").read_text())["sources"]
    cats = [row for row in source["tracks"] if row["class"] == "cat"]
    assert [(row["first_frame"], row["last_frame"], row["frames"]) for row in cats] == [(1, 4, 4)]
    assert cats[0]["score"] > 0.3
    assert source["counts"]["zones"][0]["inside"] >= 1
    assert Path("runs/track-1/cat.mp4").stat().st_size > 1000
