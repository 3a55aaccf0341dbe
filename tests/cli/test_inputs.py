"""Expanding the words of a command line to image files."""

from __future__ import annotations

from pathlib import Path

import pytest

from detkit.cli.inputs import image_files


def create_empty(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_resource_files_of_macos_are_ignored(tmp_path: Path) -> None:
    create_empty(tmp_path, "a.jpg", "._a.jpg", "._b.mp4")
    assert image_files([str(tmp_path)], videos=True) == [tmp_path / "a.jpg"]


def test_brackets_in_folder_names_are_literal_if_the_pattern_matches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_empty(tmp_path, "odd pics [1]/a.jpg", "odd pics [1]/below/b.jpg", "odd pics [1]/c.txt")
    monkeypatch.chdir(tmp_path)
    for folder in (Path("odd pics [1]"), tmp_path / "odd pics [1]"):
        assert image_files([f"{folder}/*.jpg"]) == [folder / "a.jpg"]
        assert image_files([f"{folder}/**/*.jpg"]) == [folder / "a.jpg", folder / "below" / "b.jpg"]
        with pytest.raises(FileNotFoundError, match="the pattern matches no file"):
            image_files([f"{folder}/*.png"])
    create_empty(tmp_path, "odd pics 1/d.jpg")
    assert image_files(["odd pics [1]/*.jpg"]) == [Path("odd pics 1/d.jpg")]


def test_urls_and_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"https://example\.org/a\.jpg: expected a file, got a URL; download the image and give its file"):
        image_files(["https://example.org/a.jpg"])
    (tmp_path / "in" / "deep").mkdir(parents=True)
    with pytest.raises(
        ValueError, match=r"in: the folder has no images \(.*\); for the images of its 1 subfolders, give '.*in/\*\*/\*\.jpg'"
    ):
        image_files([str(tmp_path / "in")])
    with pytest.raises(FileNotFoundError, match=r"no such image: none\.jpg; give files, folders, or patterns"):
        image_files(["none.jpg"])
