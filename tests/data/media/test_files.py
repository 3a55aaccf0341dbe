"""Listing of files: links are followed, each folder is visited once, hidden files are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from detkit.data import SourceConfig, read_source
from detkit.data.media.files import files_below, visible
from detkit.data.unlabeled import load_unlabeled


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png"):
            Image.new("RGB", (8, 6)).save(folder / name)
        else:
            (folder / name).write_text("0 0.5 0.5 0.5 0.5")


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(target, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not support links")


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in files_below(folder))


def test_linked_folders_are_visited_once(tmp_path: Path) -> None:
    write(tmp_path, "top/a/1.png", "elsewhere/2.png", "elsewhere/below/3.png")
    link(tmp_path / "top" / "link", tmp_path / "elsewhere")
    link(tmp_path / "top" / "other", tmp_path / "elsewhere")
    link(tmp_path / "top" / "_a", tmp_path / "top" / "a")
    assert below(tmp_path / "top") == ["a/1.png", "link/2.png", "link/below/3.png"]
    link(tmp_path / "whole", tmp_path / "top")
    assert below(tmp_path / "whole") == below(tmp_path / "top")


def test_cyclic_links_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, "top/a/1.png", "beside/2.png", "elsewhere/3.png")
    link(tmp_path / "top" / "a" / "up", tmp_path)
    link(tmp_path / "top" / "a" / "self", tmp_path / "top" / "a")
    link(tmp_path / "top" / "link", tmp_path / "elsewhere")
    link(tmp_path / "elsewhere" / "back", tmp_path / "top")
    assert below(tmp_path / "top") == ["a/1.png", "link/3.png"]


def test_hidden_files_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, ".top/1.png", ".top/._1.png", ".top/.ipynb_checkpoints/1-checkpoint.png")
    assert below(tmp_path / ".top") == ["1.png"]
    assert [path.name for path in visible((tmp_path / ".top").iterdir())] == ["1.png"]


def test_folder_readers_follow_links(tmp_path: Path) -> None:
    write(tmp_path, "data/cat/1.png", "data/dog/2.png", "more/3.png", "more/.trash/4.png")
    link(tmp_path / "data" / "cat" / "more", tmp_path / "more")
    classes = read_source(SourceConfig(path=str(tmp_path / "data")))
    assert classes.records.image_ids == ("cat/1.png", "cat/more/3.png", "dog/2.png")
    (unlabeled,) = load_unlabeled([SourceConfig(path=str(tmp_path / "data"))])
    assert unlabeled.records.image_ids == classes.records.image_ids


def test_yolo_follows_links(tmp_path: Path) -> None:
    write(tmp_path, "set/images/b.png", "set/labels/b.txt", "more/3.png", "more/._3.png", "more_labels/3.txt")
    link(tmp_path / "set" / "images" / "more", tmp_path / "more")
    link(tmp_path / "set" / "labels" / "more", tmp_path / "more_labels")
    (tmp_path / "set" / "data.yaml").write_text("train: images\nnames: [cat]\n")
    data = read_source(SourceConfig(path=str(tmp_path / "set")))
    assert data.records.image_ids == ("images/b.png", "images/more/3.png")
    assert data.records.labels.tolist() == [0, 0]
    assert data.report.totals() == {}
