"""Paths of drawn images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detkit.cli.drawing_writer import DrawingWriter


def test_names_that_differ_only_in_case_get_different_files(tmp_path: Path) -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    for _ in range(2):  # the second time over the first drawings
        drawings = DrawingWriter(str(tmp_path / "out"), [tmp_path / "a" / "IMG.jpg", tmp_path / "b" / "img.jpg"])
        assert drawings.write(tmp_path / "a" / "IMG.jpg", image).name == "IMG.jpg"
        assert drawings.write(tmp_path / "b" / "img.jpg", image).name == "img-2.jpg"
        assert drawings.video_path(tmp_path / "Clip.mov").name == "Clip.mp4"
        assert drawings.video_path(tmp_path / "clip.mov").name == "clip-2.mp4"


def test_inputs_are_not_overwritten_by_names_in_another_case(tmp_path: Path) -> None:
    drawings = DrawingWriter(str(tmp_path), [tmp_path / "IMG.jpg", tmp_path / "img.png"])
    assert drawings.write(tmp_path / "img.png", np.zeros((6, 8, 3), np.uint8)).name == "img-2.jpg"
