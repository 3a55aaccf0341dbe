"""Data sets with all their parts, and writing them into new folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from detkit.curation.output import OutputOptions, write_parts
from detkit.curation.parts import read_parts


def coco(folder: Path, split: str, names: list[str], classes: dict[int, str]) -> None:
    """Write a COCO data set with a box of the first class in every image."""
    for name in names:
        file = folder / "images" / split / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(file)
    box = {"category_id": next(iter(classes)), "bbox": [1, 2, 10.5, 8], "area": 84, "iscrowd": 0}
    content = {
        "images": [{"id": number, "file_name": name, "width": 40, "height": 30} for number, name in enumerate(names, 7)],
        "annotations": [{"id": number, "image_id": number, **box} for number in range(7, 7 + len(names))],
        "categories": [{"id": number, "name": name} for number, name in classes.items()],
    }
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content), "utf-8")


def test_parts_get_one_list_of_classes(tmp_path: Path) -> None:
    coco(tmp_path, "train", ["a.png", "sub/b.png"], {3: "cat", 5: "dog"})
    coco(tmp_path, "val", ["c.png"], {5: "dog", 9: "cow"})
    data = read_parts(tmp_path)
    assert list(data.parts) == ["train", "val"]
    assert (data.class_names, data.category_ids) == (("cat", "dog", "cow"), (3, 5, 9))
    assert data.parts["train"].names == ("a.png", "sub/b.png")
    assert data.parts["val"].data.records.labels.tolist() == [1]
    assert (data.image_count, data.box_count) == (3, 3)


def test_category_ids_are_renumbered_if_parts_disagree(tmp_path: Path) -> None:
    coco(tmp_path, "train", ["a.png"], {1: "cat"})
    coco(tmp_path, "val", ["c.png"], {1: "cow"})
    assert read_parts(tmp_path).category_ids == (1, 2)


def test_undivided_data_is_the_part_train(tmp_path: Path) -> None:
    coco(tmp_path, "val", ["a.png"], {1: "cat"})
    data = read_parts(tmp_path / "annotations" / "instances_val.json")
    assert list(data.parts) == ["train"]


def test_unions_of_other_parts_are_left_out(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        (tmp_path / "JPEGImages").mkdir(exist_ok=True)
        Image.new("RGB", (40, 30)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
        box = "<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
        (tmp_path / "Annotations" / f"{name}.xml").write_text(f"<annotation><object><name>cat</name>{box}</object></annotation>")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, names in {"train": "ab", "val": "c", "trainval": "abc"}.items():
        (lists / f"{split}.txt").write_text("\n".join(names))
    assert set(read_parts(tmp_path).parts) == {"train", "val"}
    assert set(read_parts(tmp_path, ("trainval",)).parts) == {"trainval"}


@pytest.mark.parametrize("copy", ["link", "copy"])
def test_written_parts_are_read_back(tmp_path: Path, copy: str) -> None:
    source, target = tmp_path / "old", tmp_path / "new"
    coco(source, "train", ["a.png", "sub/b.png"], {3: "cat", 5: "dog"})
    coco(source, "val", ["c.png"], {3: "cat", 5: "dog"})
    data = read_parts(source)
    written = write_parts(data, target, OutputOptions(copy=copy))  # type: ignore[arg-type]
    assert (written.images, written.boxes) == (3, 3)
    again = read_parts(target)
    assert again.category_ids == data.category_ids
    for name, part in data:
        assert again.parts[name].names == part.names
        assert again.parts[name].data.records.boxes.tolist() == part.data.records.boxes.tolist()
        assert again.parts[name].data.records.image_ids == part.data.records.image_ids


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    coco(tmp_path / "old", "train", ["a.png"], {3: "cat"})
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="nothing is overwritten"):
        write_parts(read_parts(tmp_path / "old"), tmp_path / "new", OutputOptions())
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["mine.txt"]
