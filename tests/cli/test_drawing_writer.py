"""Paths of drawn images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from detkit.cli.drawing_writer import DrawingWriter


def test_names_that_differ_only_in_case_get_different_files(tmp_path: Path) -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    for _ in range(2):  # the second time over the first drawings
        drawings = DrawingWriter(str(tmp_path / "out"), [tmp_path / "a" / "IMG.jpg", tmp_path / "b" / "img.jpg"])
        assert drawings.write("IMG", image).name == "IMG.jpg"
        assert drawings.write("img", image).name == "img-2.jpg"
        assert drawings.video_path("Clip").name == "Clip.mp4"
        assert drawings.video_path("clip").name == "clip-2.mp4"


def test_inputs_are_not_overwritten_by_names_in_another_case(tmp_path: Path) -> None:
    drawings = DrawingWriter(str(tmp_path), [tmp_path / "IMG.jpg", tmp_path / "img.png"])
    assert drawings.write("img", np.zeros((6, 8, 3), np.uint8)).name == "img-2.jpg"


def test_each_command_without_output_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = DrawingWriter(None, []), DrawingWriter(None, [])
    image = np.zeros((6, 8, 3), np.uint8)
    assert not Path("runs").exists()  # nothing is left if nothing is drawn
    assert [writer.write("photo", image) for writer in (first, second, first)] == [
        Path("runs/detect-1/photo.jpg"),
        Path("runs/detect-2/photo.jpg"),
        Path("runs/detect-1/photo-2.jpg"),
    ]


def test_drawings_of_a_command_that_runs_at_the_same_time_are_kept(tmp_path: Path) -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    first, second = DrawingWriter(str(tmp_path), []), DrawingWriter(str(tmp_path), [])
    assert first.write("photo", image).name == "photo.jpg"
    assert second.write("photo", image).name == "photo-2.jpg"
    os.utime(tmp_path / "photo.jpg", (1, 1))  # drawn by an earlier command
    assert DrawingWriter(str(tmp_path), []).write("photo", image).name == "photo.jpg"


def test_a_drawing_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    drawings = DrawingWriter(str(tmp_path), [])
    monkeypatch.setattr("PIL.Image.Image.save", full)
    with pytest.raises(OSError, match=r"photo\.jpg: could not be written: no space left on the disk"):
        drawings.write("photo", np.zeros((6, 8, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
