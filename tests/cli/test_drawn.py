"""Where drawn images are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detkit.cli.drawing_writer import DrawingWriter


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    for _ in range(2):  # the second time over the drawings of the first
        drawn = DrawingWriter(str(tmp_path / "out"), [tmp_path / "a" / "IMG.jpg", tmp_path / "b" / "img.jpg"])
        assert drawn.write(tmp_path / "a" / "IMG.jpg", image).name == "IMG.jpg"
        assert drawn.write(tmp_path / "b" / "img.jpg", image).name == "img-2.jpg"
        assert drawn.video_of(tmp_path / "Clip.mov").name == "Clip.mp4"
        assert drawn.video_of(tmp_path / "clip.mov").name == "clip-2.mp4"


def test_no_input_is_overwritten_under_a_name_in_another_case(tmp_path: Path) -> None:
    drawn = DrawingWriter(str(tmp_path), [tmp_path / "IMG.jpg", tmp_path / "img.png"])
    assert drawn.write(tmp_path / "img.png", np.zeros((6, 8, 3), np.uint8)).name == "img-2.jpg"
