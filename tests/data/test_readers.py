"""Labels in three formats: all give the same boxes, keep ids and flags, and count what they skip."""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from detkit.data import (
    DetectionData,
    ImageRecord,
    ReadIssue,
    ReadReport,
    SourceConfig,
    make_sample,
    read_source,
    splits_of,
    with_split,
    write_labels,
)
from detkit.data.readers import ReadOptions, find_split, recognize
from detkit.data.readers.coco.reader import CocoReader
from detkit.data.readers.voc.reader import VocReader
from detkit.data.writers import image_folder
from detkit.structures import Targets


def image(path: Path, width: int = 100, height: int = 80, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), (90, 120, 60)).save(path, exif=exif)
    return path


def coco(path: Path, boxes: list[dict[str, Any]], images: list[dict[str, Any]] | None = None, **more: Any) -> Path:
    """A COCO file about ``a.jpg`` and ``b.jpg`` of 100 x 80 next to it, unless given."""
    if images is None:
        images = [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 80}, {"id": 3, "file_name": "b.jpg", "width": 100, "height": 80}]
        for entry in images:
            image(path.parent / entry["file_name"])
    annotations = [{"id": number, "image_id": 7, "category_id": 11, "iscrowd": 0, **box} for number, box in enumerate(boxes, 1)]
    categories = [{"id": 90, "name": "cup"}, {"id": 11, "name": "cat"}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories, **more}))
    return path


def voc(folder: Path, stem: str, objects: str, size: str = "<width>100</width><height>80</height>") -> None:
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    image(folder / "JPEGImages" / f"{stem}.jpg")
    text = f"<annotation><filename>{stem}.jpg</filename><size>{size}</size>{objects}</annotation>"
    (folder / "Annotations" / f"{stem}.xml").write_text(text)


def voc_object(name: str, *corners: float, difficult: int | str = 0) -> str:
    tags = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{tags}</bndbox></object>"


def yolo(folder: Path, lines: dict[str, str | None], names: str = "[cat, cup]", extra: str = "") -> Path:
    for stem, text in lines.items():
        image(folder / "images" / "train" / f"{stem}.png")
        if text is not None:
            (folder / "labels" / "train").mkdir(parents=True, exist_ok=True)
            (folder / "labels" / "train" / f"{stem}.txt").write_text(text)
    path = folder / "data.yaml"
    path.write_text(f"train: images/train\nnames: {names}\n{extra}")
    return path


def read(path: Path, **fields: Any) -> DetectionData:
    return read_source(SourceConfig(path=str(path), **fields))


# COCO


def test_coco_keeps_ids_flags_and_areas(tmp_path: Path) -> None:
    boxes = [
        {"bbox": [10.5, 20.25, 30, 40], "area": 77.5, "category_id": 90},
        {"bbox": [0, 0, 100, 80], "iscrowd": 1, "image_id": 3},
        {"bbox": [1, 2, 3, 4], "image_id": 3, "iscrowd": "0", "id": [1]},
    ]
    data = read(coco(tmp_path / "instances.json", boxes))
    assert data.class_names == ("cat", "cup")
    assert data.category_ids == (11, 90)
    assert data.report.totals() == {}
    assert [record.image_id for record in data.records] == [7, 3]
    first, second = data.records
    assert first.path == tmp_path / "a.jpg"
    assert first.size == (80, 100)
    assert_close(first.targets.boxes, torch.tensor([[10.5, 20.25, 40.5, 60.25]]))
    assert first.targets.labels.tolist() == [1]
    assert_close(first.targets.areas, torch.tensor([77.5]))
    assert second.targets.is_crowd.tolist() == [True, False]
    assert_close(second.targets.areas, torch.tensor([8000.0, 12.0]))


def test_coco_counts_everything_it_skips(tmp_path: Path) -> None:
    boxes: list[dict[str, Any]] = [
        {"bbox": [10, 10, 20, 20]},
        {"bbox": [10, 10, 0, 20]},
        {"bbox": [10, 10, 20, -3]},
        {"bbox": [200, 10, 20, 20]},
        {"bbox": [-10, -10, 20, 20]},
        {"bbox": [float("nan"), 10, 20, 20]},
        {"bbox": [10, 10, None, 20]},
        {"bbox": [10, 10, 20, 20], "category_id": 5},
        {"bbox": [10, 10, 20, 20], "image_id": 99},
        {"bbox": [10, 10, 20, 20], "image_id": 4},
    ]
    images = [
        {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80},
        {"id": 3, "file_name": "b.jpg", "width": 80, "height": 90},
        {"id": 4, "file_name": "gone.jpg", "width": 100, "height": 80},
        {"id": 5, "file_name": "empty.jpg", "width": 100, "height": 80},
        {"id": 6, "file_name": "a.jpg"},
    ]
    image(tmp_path / "a.jpg")
    image(tmp_path / "b.jpg")
    (tmp_path / "empty.jpg").write_bytes(b"")
    data = read(coco(tmp_path / "instances.json", boxes, images))
    assert data.report.totals() == {
        "missing_image": 1,
        "unreadable_image": 1,
        "size_mismatch": 1,
        "unlisted_image": 1,
        "unknown_class": 1,
        "not_finite": 2,
        "degenerate": 2,
        "outside": 1,
        "clipped": 1,
        "missing_size": 1,
        "duplicate_file": 1,
    }
    assert [record.image_id for record in data.records] == [7, 6]
    assert_close(data.records[0].targets.boxes, torch.tensor([[10.0, 10, 30, 30], [0, 0, 10, 10]]))
    text = "\n".join(data.report.summary())
    assert "class id 5" in text
    assert "80x90 is stated, the file has 100x80 (width x height)" in text
    assert "the file is empty (0 bytes)" in text
    assert data.report.by_file()["gone.jpg"] == {"missing_image": 1}
    assert data.report.by_file()["a.jpg"]["degenerate"] == 2


def test_rounding_does_not_count_as_clipping(tmp_path: Path) -> None:
    data = read(coco(tmp_path / "i.json", [{"bbox": [50, 40, 50.01, 40.01]}]))
    assert data.report.totals() == {}
    assert data.records.boxes.max() == 100


def test_masks_are_skipped_without_affecting_other_keys(tmp_path: Path) -> None:
    boxes: list[dict[str, Any]] = [
        {"segmentation": [[1.5, 2e1, 3, -4], [5, 6, 7, 8]], "bbox": [1, 2, 3, 4], "note": 'a "segmentation": [1, 2] in words'},
        {"bbox": [1, 2, 3, 5], "segmentation": {"counts": "aa]],[0", "size": [80, 100]}},
        {"bbox": [1, 2, 3, 6], "segmentation": []},
    ]
    data = read(coco(tmp_path / "i.json", boxes))
    assert data.records.boxes[:, 3].tolist() == [6, 7, 8]


@pytest.mark.parametrize(
    ("labels", "images"),
    [
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train2017.json", "images/train2017"),
        ("annotations/instances_train2017.json", "images"),
        ("annotations/instances_train2017.json", "."),
        ("annotations/instances_default.json", "images/default"),
        ("annotations/instances_default.json", "default"),
        ("annotations/instances_default.json", "images"),
        ("instances.json", "images"),
        ("instances.json", "."),
        ("train/_annotations.coco.json", "train"),
    ],
)
def test_coco_finds_its_images(tmp_path: Path, labels: str, images: str) -> None:
    image(tmp_path / images / "sub" / "a.jpg")
    (tmp_path / "val2017").mkdir()
    listed = [{"id": 1, "file_name": "sub/a.jpg", "width": 100, "height": 80}]
    path = coco(tmp_path / labels, [{"bbox": [1, 2, 3, 4], "image_id": 1}], listed)
    for source in (SourceConfig(path=str(path)), SourceConfig(path=str(tmp_path))):
        record = read_source(source).records[0]
        assert record.path.resolve() == (tmp_path / images / "sub" / "a.jpg").resolve()


def test_coco_with_a_given_image_folder(tmp_path: Path) -> None:
    image(tmp_path / "elsewhere" / "a.jpg")
    listed = [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}]
    path = coco(tmp_path / "x" / "i.json", [{"bbox": [1, 2, 3, 4], "image_id": 1}], listed)
    assert len(read(path, images=str(tmp_path / "elsewhere")).records) == 1


@pytest.mark.parametrize("fields", [{}, {"images": "train2017"}])
def test_coco_accepts_absolute_names_below_its_folder(fields: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    file = image(tmp_path / "train2017" / "sub" / "a.jpg")
    listed = [{"id": 1, "file_name": str(file), "width": 100, "height": 80}]
    path = coco(tmp_path / "annotations" / "instances_train2017.json", [{"bbox": [1, 2, 3, 4], "image_id": 1}], listed)
    assert [record.path for record in read(path, **fields).records] == [file]


def test_number_of_checked_headers_is_limited(tmp_path: Path) -> None:
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 80 + (number == 1)} for number in range(10)]
    for entry in images:
        image(tmp_path / entry["file_name"])
    path = coco(tmp_path / "i.json", [{"bbox": [1, 2, 3, 4]}], images)
    assert read(path).report.count(ReadIssue.SIZE_MISMATCH) == 1
    some = read(path, max_checked_images=5)
    assert some.report.count(ReadIssue.SIZE_MISMATCH) == 0
    assert some.report.summary() == [f"{path}: compared the sizes of 5 evenly spaced images with their labels, not of all images"]


# orientation


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_labeled_without_exif_orientation_are_rotated(tmp_path: Path, orientation: int) -> None:
    """The labels state the size as stored, 100 x 80; the upright image is 80 x 100."""
    image(tmp_path / "a.jpg", orientation=orientation)
    image(tmp_path / "b.jpg", orientation=orientation)
    images = [
        {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80},
        {"id": 8, "file_name": "b.jpg", "width": 80, "height": 100},
    ]
    data = read(coco(tmp_path / "i.json", [{"bbox": [0, 0, 30, 10]}, {"bbox": [0, 0, 30, 10], "image_id": 8}], images))
    expected = {5: [0, 0, 10, 30], 6: [70, 0, 80, 30], 7: [70, 70, 80, 100], 8: [0, 70, 10, 100]}
    stored, upright = data.records
    assert (stored.size, upright.size) == ((100, 80), (100, 80))
    assert_close(stored.targets.boxes, torch.tensor([expected[orientation]], dtype=torch.float32))
    assert_close(upright.targets.boxes, torch.tensor([[0.0, 0, 30, 10]]))
    assert data.report.totals() == {"rotated": 1}


# Pascal VOC


def test_voc_counts_pixels_from_one(tmp_path: Path) -> None:
    voc(tmp_path, "a", voc_object("dog", 1, 1, 100, 80) + voc_object("cat", 11, 21, 30.5, 40, difficult=1))
    voc(tmp_path, "b", "")
    voc(tmp_path, "c", "".join(voc_object("dog", 1, 1, 9, 9, difficult=word) for word in ("False", "Unspecified", " 1 ", "TRUE")))
    data = read(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert_close(data.records[0].targets.boxes, torch.tensor([[0.0, 0, 100, 80], [10, 20, 30.5, 40]]))
    assert data.records[0].targets.is_difficult.tolist() == [False, True]
    assert data.records[2].targets.is_difficult.tolist() == [False, False, True, True]
    assert [record.image_id for record in data.records] == ["a", "b", "c"]
    assert len(data.records[1].targets) == 0


def test_voc_splits_have_the_same_classes(tmp_path: Path) -> None:
    for stem, name in (("a", "dog"), ("b", "cat"), ("c", "eel")):
        voc(tmp_path, stem, voc_object(name, 1, 1, 50, 50))
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb.jpg\na\n\n")
    (lists / "val.txt").write_text("c 1\nmissing\n")
    (lists / "dog_train.txt").write_text("a 1\nb -1\n")
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("train", "val")
    train, val = read(tmp_path, split="train"), read(tmp_path, split="val")
    assert train.class_names == val.class_names == ("cat", "dog", "eel")
    assert [record.path.name for record in train.records] == ["a.jpg", "b.jpg"]
    assert val.report.totals() == {"missing_image": 1, "no_label_file": 1}


def test_voc_lists_with_spaces_in_image_names(tmp_path: Path) -> None:
    """A class flag is removed only if no image has the name that includes it."""
    stems = ["a (1)", "a", "my photo 0", "b 1", "b", "c"]
    for stem in stems:
        voc(tmp_path, stem, voc_object("dog" if stem in "ab" else "cat", 1, 1, 50, 50))
    (tmp_path / "Annotations" / "c.xml").unlink()
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text(" a (1)\nmy photo 0.jpg\nb 1  \nb 1 -1\nb  0\nc\t1\n")
    data = read(tmp_path)
    assert [record.path.stem for record in data.records] == ["a (1)", "my photo 0", "b 1", "b", "c"]
    assert [data.class_names[label] for label in data.records.labels] == ["cat", "cat", "cat", "dog"]


def test_voc_combines_the_years_that_have_a_split(tmp_path: Path) -> None:
    for year, stem, name, parts in (("VOC2007", "000005", "dog", ("trainval", "test")), ("VOC2012", "2008_000002", "cat", ("trainval",))):
        voc(tmp_path / year, stem, voc_object(name, 1, 1, 50, 50))
        for part in parts:
            (tmp_path / year / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
            (tmp_path / year / "ImageSets" / "Main" / f"{part}.txt").write_text(f"{stem}\n")
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("test", "trainval")
    both, one = read(tmp_path, split="trainval"), read(tmp_path, split="test")
    assert both.class_names == one.class_names == ("cat", "dog")
    assert [record.path for record in both.records] == [
        tmp_path / "VOC2007/JPEGImages/000005.jpg",
        tmp_path / "VOC2012/JPEGImages/2008_000002.jpg",
    ]
    assert [record.targets.labels.tolist() for record in both.records] == [[1], [0]]
    assert [record.image_id for record in one.records] == ["000005"]


def roboflow(folder: Path) -> Path:
    """Roboflow's export as Pascal VOC: images and labels together in a folder for each split."""
    for part, stem, name in (("train", "a", "dog"), ("train", "b", "cup"), ("valid", "c", "cat"), ("test", "d", "dog")):
        voc(folder / "made", stem, voc_object(name, 1, 1, 50, 50))
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "made" / "Annotations" / f"{stem}.xml").rename(folder / part / f"{stem}.xml")
        (folder / "made" / "JPEGImages" / f"{stem}.jpg").rename(folder / part / f"{stem}.jpg")
    shutil.rmtree(folder / "made")
    return folder


def test_voc_with_a_folder_for_each_split(tmp_path: Path) -> None:
    source = SourceConfig(path=str(roboflow(tmp_path)))
    assert splits_of(source) == ("test", "train", "valid")
    assert with_split(source, "val").split == "valid"
    train, val = read(tmp_path, split="train"), read(tmp_path, split="val")
    assert train.class_names == val.class_names == ("cat", "cup", "dog")
    assert [record.path for record in train.records] == [tmp_path / "train" / "a.jpg", tmp_path / "train" / "b.jpg"]
    assert [record.targets.labels.tolist() for record in train.records] == [[2], [1]]
    assert [record.path for record in val.records] == [tmp_path / "valid" / "c.jpg"]
    assert not train.is_classification
    with pytest.raises(ValueError, match="it has the splits test, train, valid; name one of them"):
        read(tmp_path)


def test_voc_with_a_wrong_or_missing_size(tmp_path: Path) -> None:
    voc(tmp_path, "a", voc_object("dog", 1, 1, 50, 50), "<width>640</width><height>480</height>")
    voc(tmp_path, "b", voc_object("dog", 1, 1, 50, 50), "<width>0</width><height>0</height>")
    voc(tmp_path, "c", voc_object("dog", 90, 70, 130, 80))
    voc(tmp_path, "d", voc_object("dog", 50, 50, 50, 50))
    data = read(tmp_path)
    assert data.report.totals() == {"size_mismatch": 1, "degenerate": 1, "clipped": 1, "missing_size": 1}
    assert [record.path.stem for record in data.records] == ["b", "c", "d"]
    assert "a.xml: 640x480 is stated, the file has 100x80" in data.report.summary()[0]
    assert_close(data.records[1].targets.boxes, torch.tensor([[89.0, 69, 100, 80]]))


def test_voc_ignores_object_parts_and_finds_images_by_filename(tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></part>"
    voc(tmp_path, "a", voc_object("dog", 1, 1, 50, 50).replace("</object>", part + "</object>"))
    (tmp_path / "Annotations" / "a.xml").rename(tmp_path / "Annotations" / "labels_of_a.xml")
    data = read(tmp_path)
    assert data.class_names == ("dog",)
    assert data.records[0].path == tmp_path / "JPEGImages" / "a.jpg"


def test_voc_ignores_macos_resource_files(tmp_path: Path) -> None:
    voc(tmp_path, "a", voc_object("dog", 1, 1, 50, 50))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    for name in ("Annotations/._a.xml", "JPEGImages/._a.jpg", "ImageSets/Main/._train.txt"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("train",)
    assert [record.path.name for record in read(tmp_path).records] == ["a.jpg"]


# YOLO


def test_yolo_lines(tmp_path: Path) -> None:
    lines = {"a": "1 0.5 0.5 0.2 0.5\n\n0 0.1 0.1 0.2 0.2\n", "b": "", "c": None, "d": "0 0.1 0.1 0.9 0.2 0.5 0.75\n"}
    data = read(yolo(tmp_path, lines))
    assert data.class_names == ("cat", "cup")
    assert data.category_ids == (0, 1)
    assert [record.image_id for record in data.records] == [f"images/train/{stem}.png" for stem in "abcd"]
    assert_close(data.records[0].targets.boxes, torch.tensor([[40.0, 20, 60, 60], [0, 0, 20, 16]]))
    assert data.records[0].targets.labels.tolist() == [1, 0]
    assert [len(record.targets) for record in data.records] == [2, 0, 0, 1]
    assert_close(data.records[3].targets.boxes, torch.tensor([[10.0, 8, 90, 60]]))
    assert data.report.totals() == {"polygon": 1, "no_label_file": 1}


def test_yolo_confidences_are_reported_and_not_read(tmp_path: Path) -> None:
    data = read(yolo(tmp_path, {"a": "1 0.5 0.5 0.2 0.5 0.875\n0 0.1 0.1 0.2 0.2 1\n", "b": "0 .5 .5 .2 .2\n"}))
    assert_close(data.records[0].targets.boxes, torch.tensor([[40.0, 20, 60, 60], [0, 0, 20, 16]]))
    assert data.records[0].targets.labels.tolist() == [1, 0]
    assert data.report.totals() == {"confidence": 2}
    assert data.report.by_file() == {"images/train/a.png": {"confidence": 2}}


def test_yolo_ignores_macos_resource_files(tmp_path: Path) -> None:
    yolo(tmp_path, {"a": "0 0.5 0.5 0.1 0.1"}).rename(tmp_path / "mine.yaml")
    (tmp_path / "._mine.yaml").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X names")
    assert len(read(tmp_path).records) == 1


def test_yolo_keypoints_are_ignored(tmp_path: Path) -> None:
    data = read(yolo(tmp_path, {"a": "1 0.5 0.5 0.2 0.5 .1 .1 .2 .2\n"}, extra="kpt_shape: [2, 2]\n"))
    assert_close(data.records.boxes, np.array([[40, 20, 60, 60]], np.float32))
    assert data.report.totals() == {}


def test_yolo_counts_invalid_classes_and_boxes(tmp_path: Path) -> None:
    text = "7 .5 .5 .2 .2\n-1 .5 .5 .2 .2\n0 .5 .5 .2 .2\n0 nan .5 .2 .2\n0 .5 .5 0 .2\n0 3 .5 .2 .2\n0 .95 .5 .2 .2\n"
    data = read(yolo(tmp_path, {"a": text}))
    assert data.report.totals() == {"unknown_class": 2, "not_finite": 1, "degenerate": 1, "outside": 1, "clipped": 1}
    assert "class id 7" in "\n".join(data.report.summary())


@pytest.mark.parametrize("names", ["[cat, cup]", "{0: cat, 1: cup}", "\n  1: cup\n  0: cat\n", "\n- cat\n- cup\n"])
def test_yolo_names(tmp_path: Path, names: str) -> None:
    assert read(yolo(tmp_path, {"a": "0 .5 .5 .2 .2"}, names)).class_names == ("cat", "cup")


@pytest.mark.parametrize("train", ["images/train", "../images/train", "[images/train]", "train.txt"])
def test_yolo_image_locations(tmp_path: Path, train: str) -> None:
    yolo(tmp_path, {"a": "0 .5 .5 .2 .2"})
    (tmp_path / "train.txt").write_text("./images/train/a.png\n")
    (tmp_path / "data.yaml").write_text(f"path: .\ntrain: {train}\nval: images/train\nnames: [cat, cup]\n")
    data = read(tmp_path, split="train")
    assert len(data.records.boxes) == 1


def test_yolo_duplicate_images_are_read_once(tmp_path: Path) -> None:
    yolo(tmp_path, {"a": "0 .5 .5 .2 .2", "b": "1 .5 .5 .2 .2"})
    (tmp_path / "train.txt").write_text("images/train/a.png\nimages/train/b.png\nimages/train/a.png\n")
    (tmp_path / "data.yaml").write_text("train: train.txt\nnames: [cat, cup]\n")
    data = read(tmp_path)
    assert [record.targets.labels.tolist() for record in data.records] == [[0], [1]]
    assert data.report.totals() == {"duplicate_image": 1}


def test_yolo_uses_the_size_of_the_upright_image(tmp_path: Path) -> None:
    yolo(tmp_path, {"a": "0 .5 .5 .5 .5"})
    (tmp_path / "images" / "train" / "a.png").unlink()
    image(tmp_path / "images" / "train" / "a.jpg", orientation=6)
    record = read(tmp_path).records[0]
    assert record.size == (100, 80)
    assert_close(record.targets.boxes, torch.tensor([[20.0, 25, 60, 75]]))


# splits


@pytest.mark.parametrize(
    ("name", "available", "expected"),
    [
        ("val", ("train", "val"), "val"),
        ("val", ("train", "valid"), "valid"),
        ("val", ("train2017", "val2017"), "val2017"),
        ("train", ("training", "validation"), "training"),
        ("train", ("trainval", "test"), None),
        ("trainval", ("train", "trainval"), "trainval"),
        ("test", ("train", "val"), None),
    ],
)
def test_splits_by_alias_and_year(name: str, available: tuple[str, ...], expected: str | None) -> None:
    assert find_split(name, available) == expected


def test_first_available_split(tmp_path: Path) -> None:
    make_sample(tmp_path / "s", images=2, val_images=1, short_side=64)
    source = SourceConfig(path=str(tmp_path / "s"))
    assert with_split(source, "test", "val").split == "val"
    assert with_split(source.replace(split="train"), "val").split == "train"
    assert with_split(source, "test").split is None


# the same data in three formats


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], DetectionData]:
    folder = tmp_path_factory.mktemp("samples")
    for kind in ("coco", "voc", "yolo"):
        make_sample(folder / kind, images=12, val_images=2, kind=kind, short_side=96)  # type: ignore[arg-type]
    return lambda kind: read(folder / kind, split="train")


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_written_labels_are_read_back_unchanged(kind: str, samples: Callable[[str], DetectionData]) -> None:
    from detkit.data.cutouts import CLASS_NAMES
    from detkit.data.synthetic import make_image

    data = samples(kind)
    assert len(data) == 12
    assert set(data.report.totals()) == set()
    names = {name: CLASS_NAMES.index(name) for name in data.class_names}
    for number, record in enumerate(data.records):
        image, targets = make_image(0, number, 96)
        assert record.size == image.shape[:2]
        assert_close(record.targets.boxes, targets.boxes, atol=1e-4, rtol=0)
        assert [names[data.class_names[label]] for label in record.targets.labels] == targets.labels.tolist()
        if kind != "yolo":
            assert record.targets.is_difficult.tolist() == targets.is_difficult.tolist()


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_names_with_spaces_are_read_back(kind: str, tmp_path: Path) -> None:
    names = [image(image_folder(tmp_path, kind, "train") / f"{stem}.png").name for stem in ("a", "a (1)", "a 1", "my photo -1")]
    targets = Targets.of(torch.tensor([[0.0, 0, 50, 40]]), torch.tensor([0]))
    records = [ImageRecord(image_folder(tmp_path, kind, "train") / name, name, (80, 100), targets) for name in names]
    write_labels(DetectionData.of("made", ("cat",), records), tmp_path, kind, "train")
    data = read(tmp_path, split="train")
    assert sorted(record.path.name for record in data.records) == sorted(names)
    assert len(data.records.boxes) == 4


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_images_sharing_a_label_file_are_rejected(kind: str, tmp_path: Path) -> None:
    folder = image_folder(tmp_path, kind, "train")
    data = DetectionData.of("made", ("cat",), [ImageRecord(folder / name, name, (80, 100), Targets.empty()) for name in ("a.png", "a.jpg")])
    with nullcontext() if kind == "coco" else pytest.raises(ValueError, match=r"a\.jpg: its .*label file would also be that of .*a\.png"):
        write_labels(data, tmp_path, kind, "train")


def darknet(folder: Path) -> None:
    texts = {"obj.data": "names = obj.names\ntrain = train.txt\n", "obj.names": "cat\n", "train.txt": "a.png\n", "a.txt": "0 .5 .5 1 1\n"}
    image(folder / "a.png")
    for name, text in texts.items():
        (folder / name).write_text(text)


def written(folder: Path, kind: str) -> None:
    target = image(image_folder(folder, kind, "train") / "a.png")
    record = ImageRecord(target, "a", (80, 100), Targets.of(torch.tensor([[0.0, 0, 100, 80]]), torch.tensor([0])))
    write_labels(DetectionData.of("made", ("cat",), [record]), folder, kind, "train")


@pytest.mark.parametrize("make", [darknet, *(partial(written, kind=kind) for kind in ("coco", "voc", "yolo"))])
def test_byte_order_marks_are_ignored(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path)
    for file in tmp_path.rglob("*.*"):
        if file.suffix != ".png":
            file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    data = read(tmp_path, split="train")
    assert data.class_names == ("cat",)
    assert data.report.totals() == {}
    assert_close(data.records[0].targets.boxes, torch.tensor([[0.0, 0, 100, 80]]))


# real data


def test_bccd(shared: Path) -> None:
    counts = {}
    degenerate = 0
    for split in ("train", "val", "test"):
        data = read(shared / "data" / "bccd", split=split)
        assert data.class_names == ("Platelets", "RBC", "WBC")
        assert set(data.report.totals()) <= {"degenerate"}
        counts[split] = (len(data), len(data.records.boxes))
        degenerate += data.report.count(ReadIssue.DEGENERATE)
    assert counts == {"train": (205, 2804), "val": (87, 1137), "test": (72, 945)}
    assert degenerate == 2


def test_coco_sample(shared: Path) -> None:
    data = read(shared / "data" / "coco_sample")
    records = data.records
    assert (len(records), len(records.boxes), int(records.is_crowd.sum())) == (335, 2834, 24)
    assert data.report.totals() == {}
    assert len(data.class_names) == 80
    assert data.category_ids[-1] == 90
    assert data.class_names[data.category_ids.index(90)] == "toothbrush"
    published = json.loads((shared / "data" / "coco_sample" / "instances.json").read_text())
    by_image: dict[int, list[dict[str, Any]]] = {}
    for entry in published["annotations"]:
        by_image.setdefault(entry["image_id"], []).append(entry)
    for record in records:
        entries = by_image.get(record.image_id, [])  # type: ignore[call-overload]
        xywh = np.array([entry["bbox"] for entry in entries]).reshape(-1, 4)
        expected = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1)
        np.testing.assert_allclose(record.targets.boxes.numpy(), expected, atol=0.011)
        assert [data.category_ids[label] for label in record.targets.labels] == [entry["category_id"] for entry in entries]
        np.testing.assert_allclose(record.targets.areas.numpy(), [entry["area"] for entry in entries], rtol=1e-6)


VOC100 = {
    "coco_format_v1/instances_default.json": "coco",
    "coco_format_v2": "coco",
    "yolo_format": "yolo",
    "openimages_format": "csv",
    "openimages_format/all_bounding_boxes.csv": "csv",
    "cvat_format": "cvat",
    "cvat_format/annotations.xml": "cvat",
}


def test_voc100_in_its_formats_is_one_data_set(shared: Path) -> None:
    """The copies keep VOC's numbers from 1, so their left and top edges are larger by 1 than VOC's."""
    folder = shared / "data" / "voc100" / "annotations"
    options = ReadOptions(images=shared / "data" / "voc100" / "images")
    pascal = VocReader().read(folder / "pascalvoc_format", options)
    assert (len(pascal), len(pascal.records.boxes), int(pascal.records.is_difficult.sum())) == (100, 273, 38)
    assert len(pascal.class_names) == 20
    assert pascal.report.totals() == {}
    expected = objects_by_image(pascal)
    for path, kind in VOC100.items():
        reader = recognize(folder / path)
        assert reader.kind == kind
        data = reader.read(folder / path, options)
        assert data.report.totals() == {}
        assert sorted(data.class_names) == sorted(pascal.class_names)
        assert objects_by_image(data, shift=1) == expected, path


def objects_by_image(data: DetectionData, shift: int = 0) -> dict[str, list[tuple[str, list[int]]]]:
    """Return class and box of the objects of each image in whole pixels, with the left and top edges moved by ``shift``."""
    boxes = data.records.boxes - np.array([shift, shift, 0, 0])
    assert np.abs(boxes - boxes.round()).max() < 0.02
    found: dict[str, list[tuple[str, list[int]]]] = {Path(path).stem: [] for path in data.records.paths}
    rows = zip(data.records.image_index.tolist(), data.records.labels.tolist(), boxes.round().astype(int).tolist(), strict=True)
    for index, label, box in rows:
        found[Path(data.records.paths[index]).stem].append((data.class_names[label], box))
    return {name: sorted(objects) for name, objects in found.items()}


def test_reading_a_large_file_is_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a hundredth of COCO's training set; all of it takes about a hundred times as long."""
    from time import process_time

    import detkit.data.readers.assemble as assemble

    random = np.random.default_rng(0)
    images = [{"id": number, "file_name": f"{number:012d}.jpg", "width": 640, "height": 480} for number in range(1180)]
    boxes = [
        {"bbox": box, "area": 3.5, "image_id": number % 1180, "segmentation": [[1.25] * 40]}
        for number, box in enumerate(random.uniform(1, 200, (8_600, 4)).round(2).tolist())
    ]
    path = coco(tmp_path / "i.json", boxes, images)
    monkeypatch.setattr(assemble, "stored_size", lambda path: ((480, 640), 1))
    monkeypatch.setattr(assemble.os, "listdir", lambda folder: [entry["file_name"] for entry in images])
    start = process_time()
    data = CocoReader().read(path, ReadOptions(images=tmp_path))
    assert len(data.records.boxes) == 8_600
    assert process_time() - start < 2


def test_paths_outside_the_folder_are_rejected_on_windows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ntpath

    import detkit.data.readers.locations as locations

    monkeypatch.setattr(locations.os.path, "normpath", ntpath.normpath)
    finder = locations.ImageFinder(tmp_path, "labels.json")
    for name in ("../a.jpg", "b/../../a.jpg", "..\\a.jpg", "/etc/a.jpg", "C:\\a.jpg"):
        with pytest.raises(ValueError, match="is outside the image folder"):
            finder.find([name], ReadReport())
    assert finder.find(["b\\a.jpg"], ReadReport())[0].endswith("b/a.jpg")
