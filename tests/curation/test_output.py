"""A data set that is written: new folders only, complete or not at all, with what the format cannot hold counted."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import tree_hash, write_coco, write_mixed
from PIL import Image

from detkit.curation import LabeledParts, OutputOptions, Part, convert, read_parts, write_parts
from detkit.curation.images import ImagePlacer
from detkit.data import DetectionData, ImageRecord
from detkit.data.media.images import read_image
from detkit.data.writers.yolo import YoloWriter
from detkit.ops.windows import Window
from detkit.structures import Targets

BOX = {"image": 0, "category_id": 1, "bbox": [1, 2, 30, 20]}
CAT = {1: "cat"}


def rows(folder: Path) -> list[list[str]]:
    """Return the mapping file without its header."""
    with (folder / "mapping.csv").open(encoding="utf-8", newline="") as file:
        header, *others = csv.reader(file)
    assert header == ["part", "old path", "new name", "old id", "new id"]
    return others


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A data set with everything."""
    write_mixed(tmp_path / "source", outlines=True, sides=((84, 78), (90, 90)))
    return tmp_path / "source"


@pytest.mark.parametrize("copy", ["link", "copy", "none"])
@pytest.mark.parametrize("kind", ["coco", "voc", "labelme"])
def test_the_source_stays_as_it_is(source: Path, tmp_path: Path, copy: Any, kind: str) -> None:
    before = tree_hash(source)
    convert(source, tmp_path / "new", kind, copy=copy)
    assert tree_hash(source) == before
    images = list((tmp_path / "new").rglob("*.png"))
    assert len(images) == (0 if copy == "none" else 6)
    inodes = {path.stat().st_ino for path in source.rglob("*.png")}
    assert all((path.stat().st_ino in inodes) == (copy == "link") for path in images)


def test_where_hard_links_are_impossible_links_are_symbolic_and_else_copies(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("not on this disk")

    monkeypatch.setattr(os, "link", fail)
    convert(source, tmp_path / "symbolic", "yolo")
    assert all(path.is_symlink() and path.is_file() for path in (tmp_path / "symbolic").rglob("*.png"))
    monkeypatch.setattr(os, "symlink", fail)
    convert(source, tmp_path / "copied", "yolo")
    assert not any(path.is_symlink() for path in (tmp_path / "copied").rglob("*.png"))


def test_symbolic_links_in_the_source_are_followed(source: Path, tmp_path: Path) -> None:
    image = source / "images" / "train" / "a.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    convert(source, tmp_path / "new", "coco")
    assert (tmp_path / "new" / "images" / "train" / "a.png").stat().st_ino == (tmp_path / "elsewhere.png").stat().st_ino


def test_nothing_is_overwritten(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="it exists and is not empty; nothing is overwritten"):
        convert(source, target, "yolo")
    assert [path.name for path in target.iterdir()] == ["mine.txt"]
    (target / "mine.txt").unlink()
    convert(source, target, "yolo")
    assert (target / "data.yaml").is_file()


@pytest.mark.parametrize("place", ["new", "images/new", "."])
def test_an_output_in_the_source_is_refused(source: Path, place: str) -> None:
    before = tree_hash(source)
    with pytest.raises((ValueError, FileExistsError), match="it is in the folder of the source|is not empty"):
        convert(source, source / place, "yolo")
    assert tree_hash(source) == before


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("owner", [(YoloWriter, "write_image"), (ImagePlacer, "place")])
def test_a_failure_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, owner: tuple[type, str]
) -> None:
    calls = 0
    original: Callable[..., None] = getattr(*owner)

    def fail_later(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise error
        original(*arguments)

    monkeypatch.setattr(*owner, fail_later)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(type(error)):
        convert(source, tmp_path / "deep" / "new", "yolo")
    assert calls == 2
    assert sorted(tmp_path.iterdir()) == before


def test_strict_refuses_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"yolo labels cannot hold everything: .*polygons.*: 8; .*nothing was written: omit --strict"):
        convert(source, tmp_path / "new", "yolo", strict=True)
    assert not (tmp_path / "new").exists()
    convert(source, tmp_path / "new", "coco", strict=True)


def test_what_is_lost_is_counted(source: Path, tmp_path: Path) -> None:
    lost = convert(source, tmp_path / "yolo", "yolo").lost
    assert lost == {
        "crowds, written as boxes of the class 'ignore', which detkit ignores": 8,
        "flags of difficult objects": 4,
        "polygons, which --polygons writes instead of the boxes": 8,
        "masks (run lengths), which --polygons writes instead of the boxes": 4,
        "ids of images": 6,
        "ids of classes": 5,
    }
    lost = convert(source, tmp_path / "voc", "voc").lost
    assert lost == {"crowds, written as difficult objects": 8, "ids of images": 6, "ids of classes": 5}
    assert convert(source, tmp_path / "coco", "coco").lost == {}


def test_areas_and_spaces_are_counted(tmp_path: Path) -> None:
    write_coco(tmp_path / "data", "train", {"a.png": (64, 48)}, [{**BOX, "area": 7}, BOX], {1: " cat"})
    assert convert(tmp_path / "data", tmp_path / "new", "voc").lost == {
        "areas that differ from those of the boxes": 1,
        "ids of images": 1,
        "classes with spaces around their names": 1,
    }


def test_images_that_would_share_a_label_file_are_renamed(tmp_path: Path) -> None:
    images = dict.fromkeys(["a.png", "a.jpg", "a-2.bmp", "sub/a.png", "A.png"], (64, 48))
    for split, first in (("train", 1), ("val", 11)):
        write_coco(tmp_path / "data", split, images, [{**BOX, "image": index} for index in range(5)], CAT, first)
    new = ["a.png", "a-3.jpg", "a-2.bmp", "sub/a.png", "A-4.png"]
    written = convert(tmp_path / "data", tmp_path / "yolo", "yolo")
    assert [row[2] for row in rows(tmp_path / "yolo")] == new * 2
    assert written.notes[0] == "images renamed: 4, such as a.jpg to a-3.jpg; all names are in mapping.csv"
    assert sorted(read_parts(tmp_path / "yolo").parts["val"].names) == sorted(new)
    convert(tmp_path / "data", tmp_path / "voc", "voc")
    names = [row[2] for row in rows(tmp_path / "voc")]
    assert names[:5] == new
    assert len({name.casefold().rpartition(".")[0] for name in names}) == 10
    assert read_parts(tmp_path / "voc").image_count == 10
    convert(tmp_path / "data", tmp_path / "coco", "coco")
    assert [row[2] for row in rows(tmp_path / "coco")] == [*list(images)[:4], "A-2.png"] * 2


def test_the_same_image_in_two_parts_keeps_its_name(tmp_path: Path) -> None:
    write_coco(tmp_path / "data", "train", {"a.png": (64, 48), "b.png": (64, 48)}, [{**BOX, "image": 0}, {**BOX, "image": 1}], CAT)
    convert(tmp_path / "data", tmp_path / "voc", "voc")
    lists = tmp_path / "voc" / "ImageSets" / "Main"
    (lists / "some.txt").write_text("a\n")
    data = read_parts(tmp_path / "voc", ("train", "some"))
    write_parts(data, tmp_path / "new", OutputOptions(kind="voc"))
    assert sorted(path.name for path in (tmp_path / "new" / "JPEGImages").iterdir()) == ["a.png", "b.png"]
    assert (tmp_path / "new" / "ImageSets" / "Main" / "some.txt").read_text() == "a\n"


def test_ids_stay_or_are_numbered(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "kept", "coco")
    assert read_parts(tmp_path / "kept").parts["val"].data.records.image_ids == (200, 201, 202)
    assert not (tmp_path / "kept" / "mapping.csv").exists()
    convert(source, tmp_path / "voc", "voc")
    assert [row[3:] for row in rows(tmp_path / "voc")][:2] == [["100", ""], ["101", ""]]
    written = convert(tmp_path / "voc", tmp_path / "new", "coco")
    assert written.notes == ("images are numbered from 1; their old and new ids are in mapping.csv",)
    assert [row[3:] for row in rows(tmp_path / "new")][:2] == [["a", "1"], ["sub/b", "2"]]


def test_parts_get_names_that_the_format_has(tmp_path: Path) -> None:
    for split, first in (("train2017", 1), ("val2017", 2)):
        write_coco(tmp_path / "data", split, {f"{first}.png": (64, 48)}, [{**BOX, "image": 0}], CAT, first)
    written = convert(tmp_path / "data", tmp_path / "yolo", "yolo")
    assert written.notes[:2] == ("part train2017 is called train", "part val2017 is called val")
    assert list(read_parts(tmp_path / "yolo").parts) == ["train", "val"]
    convert(tmp_path / "data", tmp_path / "voc", "voc")
    assert list(read_parts(tmp_path / "voc").parts) == ["train2017", "val2017"]
    write_coco(tmp_path / "folds", "fold1", {"1.png": (64, 48)}, [{**BOX, "image": 0}], CAT)
    assert "part fold1 is called train" in convert(tmp_path / "folds", tmp_path / "one", "labelme").notes
    write_coco(tmp_path / "folds", "fold2", {"2.png": (64, 48)}, [{**BOX, "image": 0}], CAT)
    with pytest.raises(ValueError, match="part 'fold1': yolo data have parts called train, val, test only; write coco or voc"):
        convert(tmp_path / "folds", tmp_path / "two", "yolo")


def tiles(folder: Path, suffix: str) -> LabeledParts:
    """Return two tiles of an image, and a whole image."""
    folder.mkdir()
    pixels = np.stack([np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))] * 3, axis=2)
    for name in ("large.png", "small.png"):
        Image.fromarray(pixels).save(folder / name)
    empty = Targets.empty()
    records = [
        ImageRecord(folder / "large.png", 1, (40, 30), empty, Window(0, 0, 30, 40)),
        ImageRecord(folder / "large.png", 2, (40, 30), empty, Window(30, 0, 60, 40)),
        ImageRecord(folder / "small.png", 3, (40, 60), empty),
    ]
    data = DetectionData.of("tiles", ["cat"], records)
    return LabeledParts("tiles", {"train": Part(data, (f"large_0{suffix}", f"large_30{suffix}", "small.png"))})


@pytest.mark.parametrize(("suffix", "saved"), [(".png", ".png"), (".jpg", ".jpg"), (".webp", ".webp"), (".gif", ".png")])
def test_windows_are_cut_and_whole_images_are_linked(tmp_path: Path, suffix: str, saved: str) -> None:
    data = tiles(tmp_path / "data", suffix)
    write_parts(data, tmp_path / "new", OutputOptions())
    folder = tmp_path / "new" / "images" / "train"
    assert (folder / "small.png").stat().st_ino == (tmp_path / "data" / "small.png").stat().st_ino
    large, second = read_image(tmp_path / "data" / "large.png"), read_image(folder / f"large_30{saved}")
    difference = np.abs(second.astype(int) - large[:, 30:])
    assert difference.max() == 0 if saved != ".jpg" else 0 < difference.max() < 20
    with pytest.raises(ValueError, match="parts of images are files of their own; write them with --copy link or copy"):
        write_parts(data, tmp_path / "none", OutputOptions(copy="none"))


def test_progress_counts_every_image(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    convert(source, tmp_path / "new", "coco", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 6) for number in range(1, 7)]
