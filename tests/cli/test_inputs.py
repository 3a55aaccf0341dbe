"""From words to image files."""

from __future__ import annotations

from pathlib import Path

import pytest

from detkit.cli.inputs import image_files


def empty(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_what_macos_puts_beside_images_is_passed_over(tmp_path: Path) -> None:
    empty(tmp_path, "a.jpg", "._a.jpg", "._b.mp4")
    assert image_files([str(tmp_path)], videos=True) == [tmp_path / "a.jpg"]


def test_brackets_in_the_name_of_a_folder_mean_themselves_where_they_match_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty(tmp_path, "odd pics [1]/a.jpg", "odd pics [1]/below/b.jpg", "odd pics [1]/c.txt")
    monkeypatch.chdir(tmp_path)
    for folder in (Path("odd pics [1]"), tmp_path / "odd pics [1]"):
        assert image_files([f"{folder}/*.jpg"]) == [folder / "a.jpg"]
        assert image_files([f"{folder}/**/*.jpg"]) == [folder / "a.jpg", folder / "below" / "b.jpg"]
        with pytest.raises(FileNotFoundError, match="the pattern matches no file"):
            image_files([f"{folder}/*.png"])
    empty(tmp_path, "odd pics 1/d.jpg")
    assert image_files(["odd pics [1]/*.jpg"]) == [Path("odd pics 1/d.jpg")]
