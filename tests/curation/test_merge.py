"""Several data sets as one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from made_data import boxes_by_name, write_coco

from detkit.curation import OutputOptions, merge_parts, read_parts, write_parts

SIZE = (64, 48)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two data sets with different classes, of which one occurs in both, and with equal names and ids."""
    first = [{"image": 0, "category_id": 1, "bbox": [1, 2, 10, 10]}, {"image": 1, "category_id": 7, "bbox": [3, 4, 10, 10]}]
    second = [{"image": 0, "category_id": 1, "bbox": [5, 6, 10, 10]}, {"image": 1, "category_id": 2, "bbox": [7, 8, 10, 10]}]
    write_coco(tmp_path / "a", "train", {"1.png": SIZE, "2.png": SIZE}, first, {1: "dog", 7: "cat"})
    write_coco(tmp_path / "b", "train", {"1.png": (60, 50), "3.png": SIZE}, second, {1: "cat", 2: "Cat"})
    write_coco(tmp_path / "b", "valid", {"4.png": SIZE}, second[:1], {1: "cat", 2: "Cat"}, first_id=9)
    return tmp_path


def test_classes_and_parts_are_joined_by_name(folder: Path) -> None:
    merged = merge_parts([read_parts(folder / "a"), read_parts(folder / "b")])
    assert merged.data.class_names == ("dog", "cat", "Cat")
    assert merged.data.category_ids == (1, 7, 2)
    assert {name: part.names for name, part in merged.data} == {"train": ("1.png", "2.png", "1.png", "3.png"), "valid": ("4.png",)}
    assert merged.data.parts["train"].data.records.labels.tolist() == [0, 1, 1, 2]
    assert merged.notes == ("classes 'cat' and 'Cat' differ only by case or spaces; they stay apart: join them with detkit data rename "
                            "if they are one",)  # fmt: skip


def test_names_and_ids_are_kept_apart(folder: Path) -> None:
    merged = merge_parts([read_parts(folder / "a"), read_parts(folder / "b")])
    written = write_parts(merged.data, folder / "new", OutputOptions())
    assert written.notes == (
        "images renamed: 1, such as 1.png to 1-2.png; all names are in mapping.csv",
        "images are numbered from 1; their old and new ids are in mapping.csv",
    )
    again = read_parts(folder / "new")
    assert again.class_names == ("dog", "cat", "Cat")
    assert boxes_by_name(again)["train", "1-2.png"] == [("cat", (5, 6, 15, 16))]
    assert boxes_by_name(again)["train", "1.png"] == [("dog", (1, 2, 11, 12))]
    with (folder / "new" / "mapping.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["old id"], row["new id"]) for row in rows] == [("1", "1"), ("2", "2"), ("1", "3"), ("2", "4"), ("9", "5")]
    assert rows[2]["old path"] == str(folder / "b" / "images" / "train" / "1.png")


def test_other_names_of_a_part_are_joined_and_said(folder: Path) -> None:
    write_coco(folder / "c", "val", {"5.png": SIZE}, [{"image": 0, "category_id": 1, "bbox": [5, 6, 10, 10]}], {1: "cow"})
    merged = merge_parts([read_parts(folder / "c"), read_parts(folder / "b")])
    assert {name: part.names for name, part in merged.data} == {"val": ("5.png", "4.png"), "train": ("1.png", "3.png")}
    assert f"part valid of {folder / 'b'} is added to val" in merged.notes
    assert merged.data.category_ids == (1, 2, 3)  # cow and cat have the same id


def test_images_of_the_same_bytes_are_reported(folder: Path) -> None:
    one, other = folder / "a" / "images" / "train" / "2.png", folder / "b" / "images" / "train" / "3.png"
    other.write_bytes(one.read_bytes())
    notes = merge_parts([read_parts(folder / "a"), read_parts(folder / "b")]).notes
    assert notes[1] == f"images with the same bytes as one of another data set: 1, both kept: {one} and {other}"


def test_too_few_data_sets_are_refused(folder: Path) -> None:
    data = read_parts(folder / "a")
    with pytest.raises(ValueError, match="merge: expected two data sets or more, got 1"):
        merge_parts([data])
    with pytest.raises(ValueError, match=r"merge: .*a is given twice; give every data set once"):
        merge_parts([data, data])
