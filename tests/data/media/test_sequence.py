"""Folders of images as videos: order, frame rate, damaged files, and sequences of MOTChallenge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detkit.data.media.sequence import ImageSequence, natural_key


def images(folder: Path, *names: str, size: tuple[int, int] = (40, 30)) -> Path:
    """Write images whose brightness is their place among the names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(np.full((size[1], size[0], 3), 10 * number, np.uint8)).save(folder / name)
    return folder


def test_numbers_are_sorted_by_value(tmp_path: Path) -> None:
    assert sorted(["b", "a10", "a9", "A1", "a"], key=natural_key) == ["a", "A1", "a9", "a10", "b"]
    sequence = ImageSequence.of_folder(images(tmp_path / "in", "f9.png", "f10.png", "f11.png"), 10)
    frames = list(sequence.frames())
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [0, 10, 20]
    assert [(frame.index, frame.seconds) for frame in frames] == [(0, 0.0), (1, 0.1), (2, 0.2)]
    assert (sequence.stem, sequence.length, sequence.frames_per_second) == ("in", 3, 10)
    assert [frame.index for frame in sequence.frames(every=2)] == [0, 2]


def test_a_damaged_image_is_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = images(tmp_path, "1.png", "2.png", "3.png")
    (folder / "2.png").write_bytes(b"no image")
    sequence = ImageSequence.of_folder(folder)
    assert [frame.index for frame in sequence.frames()] == [0, 2]
    assert sequence.lost == 1
    assert "2.png: not a readable image" in caplog.text


def test_a_sequence_of_motchallenge(tmp_path: Path) -> None:
    images(tmp_path / "MOT-02" / "img1", "000001.png", "000002.png")
    (tmp_path / "MOT-02" / "seqinfo.ini").write_text("[Sequence]\nname=MOT-02\nframeRate=14\n")
    for folder in (tmp_path / "MOT-02", tmp_path / "MOT-02" / "img1"):
        sequence = ImageSequence.of_folder(folder)
        assert (sequence.stem, sequence.frames_per_second, sequence.length) == ("MOT-02", 14, 2)
    (tmp_path / "MOT-02" / "seqinfo.ini").write_text("frameRate=14\n")
    assert ImageSequence.of_folder(tmp_path / "MOT-02").frames_per_second == 25


def test_what_is_no_sequence_is_refused(tmp_path: Path) -> None:
    folder = images(tmp_path / "in", "1.png", "2.png")
    images(folder, "3.png", size=(50, 30))
    with pytest.raises(ValueError, match=r"3\.png: expected 40 x 30 pixels as in 1\.png, got 50 x 30: not frames of one video"):
        list(ImageSequence.of_folder(folder).frames())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="the folder has no images"):
        ImageSequence.of_folder(tmp_path / "empty")
    (folder / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match="none of the 1 images can be read"):
        list(ImageSequence([folder / "1.png"]).frames())
    with pytest.raises(ValueError, match="frames_per_second: expected a number above 0, got 0"):
        ImageSequence([folder / "1.png"], 0)
