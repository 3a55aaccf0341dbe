"""Labels as annotation tools write them: turned boxes, folders, encodings, names and paths."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from detkit.data import DataConfig, DetectionData, ReadIssue, SourceConfig, load_data, read_source, splits_of
from detkit.data.readers import ReadOptions
from detkit.data.readers.labelme import LabelmeReader

BOX = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>50</xmax><ymax>60</ymax></bndbox>"
SIZE = "<size><width>100</width><height>80</height></size>"


def image_file(path: Path, gray: int = 120) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 80), (gray, gray, gray)).save(path)
    return path


def xml(path: Path, name: str = "cat", filename: str = "", extra: str = "", encoding: str | None = None, declared: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    text = f"{head}<annotation><filename>{filename}</filename>{SIZE}<object><name>{name}</name>{BOX}{extra}</object></annotation>"
    path.write_bytes(text.encode(encoding or "utf-8"))
    return path


def coco(path: Path, names: list[str], boxes: list[dict[str, Any]] | None = None, classes: tuple[str, ...] = ("cat",)) -> Path:
    images = [{"id": number, "file_name": name, "width": 100, "height": 80} for number, name in enumerate(names, 1)]
    rows = [{}] * len(names) if boxes is None else boxes
    annotations = [{"id": n, "image_id": n, "category_id": 1, "bbox": [10, 20, 40, 40], **row} for n, row in enumerate(rows, 1)]
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def yolo(folder: Path, description: str, images: str = "images", labels: str = "labels") -> Path:
    image_file(folder / images / "a.jpg")
    (folder / labels).mkdir(parents=True, exist_ok=True)
    (folder / labels / "a.txt").write_text("0 .5 .5 .2 .2\n")
    (folder / "data.yaml").write_text(description)
    return folder


def read(path: Path, **fields: Any) -> DetectionData:
    return read_source(SourceConfig(path=str(path), **fields))


# turned boxes


@pytest.mark.parametrize(
    "row",
    [
        {"bbox": [40, 30, 40, 20], "attributes": {"rotation": 90}},
        {"bbox": [40, 30, 40, 20], "attributes": {"rotation": -270.0, "occluded": False}},
        {"bbox": [60, 40, 40, 20, 90]},
        {"bbox": [50, 20, 70, 20, 70, 60, 50, 60]},
        {"bbox": [0, 0, 1, 1], "rbbox": [60, 40, 40, 20, 90]},
    ],
)
def test_a_turned_coco_box_becomes_the_box_around_it(tmp_path: Path, row: dict[str, Any]) -> None:
    image_file(tmp_path / "a.jpg")
    data = read(coco(tmp_path / "labels.json", ["a.jpg"], [row]))
    assert_close(data.records[0].targets.boxes, torch.tensor([[50.0, 20, 70, 60]]))
    assert data.report.totals() == {"turned": 1}
    assert data.coco_file is None  # so that the truth of an evaluation is the same box


@pytest.mark.parametrize("angle", [0, 180, 360.0])
def test_a_half_turn_changes_nothing(tmp_path: Path, angle: float) -> None:
    image_file(tmp_path / "a.jpg")
    data = read(coco(tmp_path / "labels.json", ["a.jpg"], [{"attributes": {"rotation": angle}}]))
    assert_close(data.records[0].targets.boxes, torch.tensor([[10.0, 20, 50, 60]]))
    assert data.report.totals() == {}


def test_turned_voc_boxes(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    attribute = "<attributes><attribute><name>rotation</name><value>45.0</value></attribute></attributes>"
    xml(tmp_path / "a.xml", extra=attribute)
    data = read(tmp_path)
    half = 20 * 2**0.5
    assert_close(data.records[0].targets.boxes, torch.tensor([[30 - half, 40 - half, 30 + half, 40 + half]]))
    assert data.report.totals() == {"turned": 1}
    turned = "<robndbox><cx>60</cx><cy>40</cy><w>40</w><h>20</h><angle>1.5707963267948966</angle></robndbox>"
    (tmp_path / "a.xml").write_text(f"<annotation><object><name>cat</name>{turned}</object></annotation>")
    assert_close(read(tmp_path).records[0].targets.boxes, torch.tensor([[50.0, 20, 70, 60]]))


# COCO values


@pytest.mark.parametrize("box", [{"bbox": []}, {"bbox": None}, {}])
def test_annotations_without_a_box_are_skipped_or_take_the_box_of_their_polygon(tmp_path: Path, box: dict[str, Any]) -> None:
    image_file(tmp_path / "a.jpg")
    path = coco(tmp_path / "labels.json", ["a.jpg"])
    content = json.loads(path.read_text())
    bare: dict[str, Any] = {"image_id": 1, "category_id": 1, **box}
    outlined = {**bare, "segmentation": [[1, 2, 30, 2, 30, 40], [5, 5, 6, 50, 7, 7]]}
    path.write_text(json.dumps({**content, "annotations": [*content["annotations"], bare, outlined]}))
    data = read(path)
    assert_close(data.records[0].targets.boxes, torch.tensor([[10.0, 20, 50, 60], [1, 2, 30, 50]]))
    assert data.report.totals() == {"no_box": 1, "polygon": 1}


def test_the_flag_ignore_is_reported(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    data = read(coco(tmp_path / "labels.json", ["a.jpg"], [{"ignore": 1}, {"ignore": 0, "image_id": 1}]))
    assert data.report.totals() == {"ignore_flag": 1}
    assert len(data.records.boxes) == 2


@pytest.mark.parametrize(("listed", "named"), [("7", 7), (7, "7"), (7.0, 7), ("a-7", "a-7"), (7, 7.0)])
def test_ids_are_joined_as_text_and_as_number(tmp_path: Path, listed: Any, named: Any) -> None:
    image_file(tmp_path / "a.jpg")
    path = coco(tmp_path / "labels.json", ["a.jpg"], [{"image_id": named, "category_id": "1"}])
    content = json.loads(path.read_text())
    content["images"][0]["id"] = listed
    path.write_text(json.dumps(content))
    assert len(read(path).records.boxes) == 1


# paths


@pytest.mark.parametrize(
    "name",
    [
        "C:\\Users\\me\\photos\\my photo.jpg",
        "file:///home/me/photos/my%20photo.jpg",
        "https://example.org/photos/my%20photo.jpg",
        "data/local-files/?d=photos/my photo.jpg",
        "..\\..\\media\\upload\\4\\my photo.jpg",
        "../../media/upload/my photo.jpg",
        "/home/me/photos/my photo.jpg",
        "one/folder/more/my photo.jpg",
        "MY PHOTO.JPG",
        "my%20photo.jpg",
    ],
)
def test_images_are_found_whatever_their_paths_look_like(tmp_path: Path, name: str) -> None:
    found = image_file(tmp_path / "images" / "deep" / "my photo.jpg")
    path = coco(tmp_path / "result.json", [name])
    assert [record.path for record in read(path).records] == [found]
    elsewhere = coco(tmp_path / "other" / "labels" / "result.json", [name])
    assert [record.path for record in read(elsewhere, images=str(tmp_path / "images")).records] == [found]


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for part in ("train", "val"):
        image_file(tmp_path / "images" / part / "a.jpg")
    data = read(coco(tmp_path / "result.json", ["/elsewhere/val/a.jpg"]))
    assert [record.path for record in data.records] == [tmp_path / "images" / "val" / "a.jpg"]
    with pytest.raises(ValueError, match=r"its images, such as /elsewhere/a\.jpg, were not found"):
        read(coco(tmp_path / "other.json", ["/elsewhere/a.jpg"]))


def test_a_missing_image_is_not_replaced_by_one_of_the_same_name(tmp_path: Path) -> None:
    """Where most paths are right, a path that leads nowhere means that the image is missing."""
    for name in ("train/a.jpg", "train/b.jpg", "val/c.jpg"):
        image_file(tmp_path / "images" / name)
    data = read(coco(tmp_path / "result.json", ["train/a.jpg", "train/b.jpg", "train/c.jpg"]))
    assert data.report.totals() == {"missing_image": 1}


@pytest.mark.parametrize("kind", ["coco", "yolo"])
def test_images_outside_of_the_data_folder_need_a_flag(tmp_path: Path, kind: str) -> None:
    outside = image_file(tmp_path / "secret" / "images" / "b.jpg")
    (tmp_path / "secret" / "labels").mkdir()
    (tmp_path / "secret" / "labels" / "b.txt").write_text("0 .5 .5 .2 .2\n")
    folder = tmp_path / "a" / "b" / "data"
    if kind == "coco":
        image_file(folder / "a.jpg")
        path, allowed = coco(folder / "labels.json", ["a.jpg", str(outside)]), 2
    else:
        path, allowed = yolo(folder, "train: list.txt\nnames: [cat]\n"), 2
        (folder / "list.txt").write_text(f"images/a.jpg\n{outside}\n")
    with pytest.raises(ValueError, match=r"b\.jpg' is outside the image folder .*outside=true"):
        read(path)
    assert len(read(path, outside=True).records) == allowed


# splits of COCO files


@pytest.mark.parametrize(
    "names",
    [
        ("annotations/annotations_train.json", "annotations/annotations_val.json"),
        ("coco_train.json", "coco_val.json"),
        ("annotations/train_coco.json", "annotations/val_coco.json"),
        ("train_annotations.json", "val_annotations.json"),
        ("livecell_coco_train.json", "livecell_coco_val.json"),
        ("lvis_v1_train.json", "lvis_v1_val.json"),
        ("train/train_COCO.json", "val/val_COCO.json"),
        ("train/annotations.json", "val/annotations.json"),
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
    ],
)
def test_the_parts_of_a_data_set_are_recognized(tmp_path: Path, names: tuple[str, str]) -> None:
    for number, name in enumerate(names):
        image_file(tmp_path / "images" / f"{number}.jpg", 100 + number)
        coco(tmp_path / name, [f"{number}.jpg"])
    train, val = load_data(DataConfig(train=SourceConfig(path=str(tmp_path))))
    assert [record.path.name for record in (*train.records, *val.records)] == ["0.jpg", "1.jpg"]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("annotations.json", "annotations_unofficial.json"), ("annotations", "annotations_unofficial")),
        (("x_train.json", "x_train_1percent.json"), ("train", "x_train_1percent")),
        (("instances_train.json", "boxes_train.json"), ("boxes_train", "train")),
        (("boxes_train.json", "other_train.json"), ("boxes_train", "other_train")),
    ],
)
def test_every_file_keeps_a_name_of_its_own(tmp_path: Path, names: tuple[str, ...], splits: tuple[str, ...]) -> None:
    image_file(tmp_path / "images" / "a.jpg")
    for name in names:
        coco(tmp_path / name, ["a.jpg"])
    assert splits_of(SourceConfig(path=str(tmp_path))) == splits


def test_naming_one_part_does_not_drop_another_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, count in (("first", 4), ("second", 2)):
        images = [image_file(tmp_path / "images" / f"{name}{number}.jpg", number).name for number in range(count)]
        coco(tmp_path / f"{name}.json", images)
    load_data(DataConfig(train=SourceConfig(path=str(tmp_path), split="first")))
    assert "validation uses 10 % of the images of the split first; the other splits (second) are not used" in caplog.text


def test_a_class_may_be_missing_in_validation_data(tmp_path: Path) -> None:
    for part, classes in (("train", ("cat", "dog", "owl")), ("val", ("owl", "cat"))):
        image_file(tmp_path / "images" / f"{part}.jpg", len(part))
        coco(tmp_path / f"instances_{part}.json", [f"{part}.jpg"], classes=classes)
    train, val = load_data(DataConfig(train=SourceConfig(path=str(tmp_path))))
    assert val.class_names == train.class_names == ("cat", "dog", "owl")
    assert (train.records.labels.tolist(), val.records.labels.tolist()) == ([0], [2])


# VOC folders


def test_voc_subfolders_and_upper_case(tmp_path: Path) -> None:
    for stem, ending in (("top", "xml"), ("cam1/a", "xml"), ("cam2/a", "XML")):
        image_file(tmp_path / "JPEGImages" / f"{stem}.JPG")
        xml(tmp_path / "Annotations" / f"{stem}.{ending}", stem.replace("/", "-"))
    data = read(tmp_path)
    assert [(record.image_id, data.class_names[int(record.targets.labels[0])]) for record in data.records] == [
        ("cam1/a", "cam1-a"),
        ("cam2/a", "cam2-a"),
        ("top", "top"),
    ]
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "default.txt").write_text("cam2/a\ncam1\\a.JPG\n")
    assert [record.image_id for record in read(tmp_path).records] == ["cam2/a", "cam1/a"]
    (lists / "default.txt").write_text("../a\n")
    with pytest.raises(ValueError, match="is outside the image folder"):
        read(tmp_path)


def test_flat_voc_labels_of_images_in_subfolders(tmp_path: Path) -> None:
    image_file(tmp_path / "JPEGImages" / "cam" / "a.jpg")
    xml(tmp_path / "Annotations" / "a.xml")
    assert len(read(tmp_path).records.boxes) == 1


@pytest.mark.parametrize(("images", "labels"), [("Images", "Labels"), ("images", "annotations"), ("JPEGImages", "ANNOTATIONS"), (".", ".")])
def test_names_of_voc_folders(tmp_path: Path, images: str, labels: str) -> None:
    image_file(tmp_path / images / "a.JPG")
    xml(tmp_path / labels / "a.XML")
    assert len(read(tmp_path).records.boxes) == 1


def test_voc_images_without_labels_are_kept_and_counted(tmp_path: Path) -> None:
    for stem in "abc":
        image_file(tmp_path / f"{stem}.jpg")
    xml(tmp_path / "a.xml")
    data = read(tmp_path)
    assert [len(record.targets) for record in data.records] == [1, 0, 0]
    assert data.report.totals() == {"no_label_file": 2}


@pytest.mark.parametrize(("filename", "expected"), [("a.png", "a.png"), ("A.JPG", "a.jpg"), ("folder/a.png", "a.png"), ("", "a.jpg")])
def test_the_name_in_a_voc_file_decides_between_images(tmp_path: Path, filename: str, expected: str) -> None:
    for name in ("a.jpg", "a.png"):
        image_file(tmp_path / "JPEGImages" / name)
    xml(tmp_path / "Annotations" / "a.xml", filename=filename)
    data = read(tmp_path)
    assert [record.path.name for record in data.records] == [expected]
    assert data.report.totals() == {"other_image": 1}


def test_yolo_images_that_share_a_label_file_are_reported(tmp_path: Path) -> None:
    yolo(tmp_path, "train: images\nnames: [cat]\n")
    image_file(tmp_path / "images" / "a.png")
    data = read(tmp_path)
    assert (len(data.records), data.report.totals()) == (2, {"shared_label_file": 1})


# encodings


@pytest.mark.parametrize(
    ("declared", "encoding", "name"),
    [
        ("gb2312", "gb2312", "汽车"),
        ("gb2312", "gb18030", "镕"),
        ("gbk", "gbk", "汽车"),
        ("GB18030", "gb18030", "汽车"),
        ("big5", "big5", "車"),
        ("shift_jis", "shift_jis", "犬"),
        ("euc-kr", "euc-kr", "차"),
        ("iso-8859-1", "latin-1", "Fußgänger"),
        ("windows-1252", "cp1252", "Fußgänger"),
        ("utf-16", "utf-16", "Fußgänger"),
        ("utf-8", "utf-8-sig", "Fußgänger"),
        ("gb2312", "utf-8", "Fußgänger"),
        ("ansi", "utf-8", "Fußgänger"),
        ("", "utf-8", "Fußgänger"),
    ],
)
def test_xml_in_every_encoding(tmp_path: Path, declared: str, encoding: str, name: str) -> None:
    image_file(tmp_path / "a.jpg")
    xml(tmp_path / "a.xml", name, encoding=encoding, declared=declared)
    assert read(tmp_path).class_names == (name,)


@pytest.mark.parametrize(
    ("declared", "message"),
    [("", "not in UTF-8, and it declares no other encoding"), ("latin9x", "declares the encoding 'latin9x', which is unknown")],
)
def test_xml_that_cannot_be_decoded_names_file_and_encoding(tmp_path: Path, declared: str, message: str) -> None:
    image_file(tmp_path / "a.jpg")
    path = xml(tmp_path / "a.xml", "汽车", encoding="gbk", declared=declared)
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).endswith("save it as UTF-8")


# YOLO descriptions


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("[yes, no]", ("yes", "no")),
        ("[on, off]", ("on", "off")),
        ("[007, 010, 1e3]", ("007", "010", "1e3")),
        ("[12:30, 2024-01-01]", ("12:30", "2024-01-01")),
        ("[1.10, 1.1]", ("1.10", "1.1")),
        ("[cat, null, ~]", ("cat", "null", "~")),
        ("{0: yes, 1: 0x10}", ("yes", "0x10")),
        ("\n  1: off\n  0: 'on'\n", ("on", "off")),
        ("[true, True]", ("true", "True")),
    ],
)
def test_class_names_are_read_as_they_are_written(tmp_path: Path, names: str, expected: tuple[str, ...]) -> None:
    assert read(yolo(tmp_path, f"train: images\nnames: {names}\n")).class_names == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [[cat, dog]]", "names: 0: expected the name of a class, got a list or mapping"),
        ("names: [cat, '']", "names: 1: expected the name of a class, got ''"),
        ("names: classes.txt", "expected names, a list of class names"),
        ("a: &a [cat]\nb: &b [*a, *a]\nnames: [*b]", "refers to a list or mapping by"),
        ("names: " + "[" * 5000, "not readable YAML"),
        ("names: [cat]\ntrain: 2024-13-45", "not readable YAML"),
        ("names: [cat]\npath: /", "the root of the disk"),
        ("names: [cat]\nval: /", "outside the data folder"),
    ],
)
def test_descriptions_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    yolo(tmp_path, f"train: images\n{text}\n" if "train" not in text else f"{text}\n")
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, split="val" if "val" in text else None)
    assert str(tmp_path / "data.yaml") in str(error.value)


def test_a_scalar_may_be_repeated_by_reference(tmp_path: Path) -> None:
    data = read(yolo(tmp_path, "train: &images images\nval: *images\nnames: [cat]\n"), split="val")
    assert len(data.records) == 1


def test_keys_and_folders_that_are_not_read_are_reported(tmp_path: Path) -> None:
    yolo(
        tmp_path,
        "train: images/train\nvalidation: images/train\ntrian: images\nextra: images\ndownload: x\nnames: [cat]\n",
        "images/train",
        "labels/train",
    )
    image_file(tmp_path / "test" / "images" / "b.jpg")
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("train", "val")
    report = read(tmp_path, split="train").report
    assert report.totals() == {"unread_key": 2, "unnamed_split": 1}
    assert list(report.counts[ReadIssue.UNREAD_KEY]) == ["trian", "extra"]
    assert list(report.counts[ReadIssue.UNNAMED_SPLIT]) == ["test"]


@pytest.mark.parametrize("train", ["images\\train", ".\\images\\train", "..\\images\\train", "list.txt"])
def test_backslashes_in_yolo_paths(tmp_path: Path, train: str) -> None:
    yolo(tmp_path, f"train: {train}\nnames: [cat]\n", "images/train", "labels/train")
    (tmp_path / "list.txt").write_text("images\\train\\a.jpg\n")
    assert len(read(tmp_path).records.boxes) == 1


def test_a_yolo_list_of_another_machine(tmp_path: Path) -> None:
    yolo(tmp_path, "train: list.txt\nnames: [cat]\n")
    (tmp_path / "list.txt").write_text("/content/drive/ds/images/a.jpg\n")
    data = read(tmp_path)
    assert (len(data.records.boxes), data.report.totals()) == (1, {"found_by_name": 1})
    (tmp_path / "list.txt").write_text("images/b.jpg\n")
    with pytest.raises(ValueError, match=r"none of its 1 images exists, such as .*b\.jpg"):
        read(tmp_path)


def test_class_names_of_darknet_are_read_from_its_folder_only(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("password\n")
    folder = tmp_path / "data"
    image_file(folder / "images" / "a.jpg")
    for names in (str(secret), "../secret.txt"):
        (folder / "obj.data").write_text(f"classes = 1\ntrain = images\nnames = {names}\n")
        with pytest.raises(ValueError, match="is not in its folder"):
            read(folder / "obj.data")


@pytest.mark.parametrize("layout", ["labelimg", "label_studio", "roboflow"])
def test_yolo_folders_without_a_description(tmp_path: Path, layout: str) -> None:
    places = {
        "labelimg": ("", "", "classes.txt"),
        "label_studio": ("images", "labels", "classes.txt"),
        "roboflow": ("train", "train", "train/_darknet.labels"),
    }
    images, labels, names = places[layout]
    image_file(tmp_path / images / "a.jpg")
    image_file(tmp_path / images / "b.jpg")
    (tmp_path / labels).mkdir(exist_ok=True)
    (tmp_path / labels / "a.txt").write_text("1 .5 .5 .2 .2\n")
    (tmp_path / names).write_text("cat\ndog\n")
    data = read(tmp_path)
    assert (data.class_names, data.records.labels.tolist(), len(data.records)) == (("cat", "dog"), [1], 2)
    assert splits_of(SourceConfig(path=str(tmp_path))) == (("train",) if layout == "roboflow" else ())


@pytest.mark.parametrize(
    ("images", "labels", "given"),
    [
        ("", "labels", ""),
        ("images", "labels", ""),
        ("images", "labels", "labels"),
        ("images", "labels", "labels/classes.txt"),
        ("images", "", ""),
        ("photos", "saved", "saved"),
        ("photos", "saved", "saved/classes.txt"),
    ],
)
def test_folders_that_labelimg_was_told_to_save_in(tmp_path: Path, images: str, labels: str, given: str) -> None:
    """labelImg writes its list of classes to the folder of the labels, which may be any."""
    for name in ("a.jpg", "b.jpg"):
        image_file(tmp_path / images / name)
    (tmp_path / labels).mkdir(exist_ok=True)
    (tmp_path / labels / "a.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    (tmp_path / labels / "classes.txt").write_text("cat\ndog\n")
    data = read(tmp_path / given, **({"images": str(tmp_path / images)} if images == "photos" else {}))
    assert (data.class_names, data.records.labels.tolist(), len(data.records)) == (("cat", "dog"), [1], 2)
    assert data.report.totals() == {"no_label_file": 1}


def test_a_list_of_classes_alone_is_no_yolo_data(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "notes.txt").write_text("1 note\n")
    with pytest.raises(ValueError, match="no labels in a known format"):
        read(tmp_path)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(ValueError, match="no labels in a known format"):
        read(tmp_path)


def test_voc_labels_beside_a_list_of_classes_are_no_yolo_labels(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    xml(tmp_path / "a.xml")
    (tmp_path / "classes.txt").write_text("cat\n")
    assert len(read(tmp_path).records.boxes) == 1


# labelme and formats that are not read


def labelme(path: Path, shapes: list[dict[str, Any]], image: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": 80,
        "imageWidth": 100,
    }
    path.write_text(json.dumps(content))


def test_labelme(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        image_file(tmp_path / name)
    shapes = [
        {"label": "dog", "points": [[50, 60], [10, 20]], "shape_type": "rectangle", "difficult": True},
        {"label": "cat", "points": [[1, 2], [30, 2], [30, 40]], "shape_type": "polygon"},
        {"label": "cat", "points": [[50, 40], [50, 50]], "shape_type": "circle"},
        {"label": "cat", "points": [[5, 5]], "shape_type": "point"},
    ]
    labelme(tmp_path / "a.json", shapes, "C:\\photos\\a.jpg")
    labelme(tmp_path / "b.json", [], "b.jpg")
    data = LabelmeReader().read(tmp_path, ReadOptions())
    assert data.class_names == ("cat", "dog")
    assert [record.image_id for record in data.records] == ["a", "b", "c.jpg"]
    targets = data.records[0].targets
    assert_close(targets.boxes, torch.tensor([[10.0, 20, 50, 60], [1, 2, 30, 40], [40, 30, 60, 50]]))
    assert (targets.labels.tolist(), targets.is_difficult.tolist()) == ([1, 0, 0], [True, False, False])
    assert targets.segmentations is not None
    assert [targets.segmentations.stored(row) for row in range(3)] == [None, [[1, 2, 30, 2, 30, 40]], None]
    assert data.report.totals() == {"polygon": 1, "no_label_file": 1, "unread_shape": 1}
    assert len(read(tmp_path / "a.json").records) == 1


def test_labelme_points_beyond_all_floats(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    labelme(tmp_path / "a.json", [{"label": "dog", "points": [[10**400, 6], [1, 2]], "shape_type": "rectangle"}], "a.jpg")
    with pytest.raises(ValueError, match=r"a\.json: shape 1: expected points \[x, y\], got"):
        read(tmp_path)


def test_labelme_splits(tmp_path: Path) -> None:
    for part, label in (("train", "cat"), ("val", "dog")):
        image_file(tmp_path / part / "a.jpg", len(part))
        labelme(tmp_path / part / "a.json", [{"label": label, "points": [[1, 1], [9, 9]], "shape_type": "rectangle"}], "a.jpg")
    train, val = load_data(DataConfig(train=SourceConfig(path=str(tmp_path))))
    assert train.class_names == val.class_names == ("cat", "dog")
    assert (train.records.labels.tolist(), val.records.labels.tolist()) == ([0], [1])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("via.json", {"a.jpg123": {"filename": "a.jpg", "regions": []}}, r"VGG Image Annotator \(VIA\)"),
        ("via.json", {"_via_settings": {}, "_via_img_metadata": {}}, r"VGG Image Annotator \(VIA\)"),
        ("rows.json", [{"External ID": "a.jpg", "Label": {}}], "Labelbox"),
        ("notes.json", {"categories": [{"id": 0, "name": "cat"}], "info": {}}, "name the folder that contains classes.txt"),
        ("results.json", [{"image_id": 1, "bbox": [1, 2, 3, 4]}], "as in a results file"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, name: str, content: Any, message: str) -> None:
    image_file(tmp_path / "a.jpg")
    (tmp_path / name).write_text(json.dumps(content))
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(ValueError, match=message):
            read(path)


def test_other_files_are_named(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    (tmp_path / "boxes.csv").write_text("filename,xmin\n")
    with pytest.raises(ValueError, match=r"boxes\.csv begins with 'filename,xmin'; expected the header filename,width"):
        read(tmp_path)


# files that are none


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("place", ["images/b.jpg", "labels/a.txt", "data.yaml"])
def test_named_pipes_are_not_waited_for(tmp_path: Path, place: str) -> None:
    yolo(tmp_path, "train: images\nnames: [cat]\n")
    (tmp_path / place).unlink(missing_ok=True)
    os.mkfifo(tmp_path / place)
    if place == "images/b.jpg":
        assert read(tmp_path).report.totals() == {"unreadable_image": 1, "no_label_file": 1}
        return
    if place == "labels/a.txt":  # it is no file, so the image has none
        with pytest.raises(ValueError, match="none of its 1 images has a label file"):
            read(tmp_path)
        return
    with pytest.raises(ValueError, match="no labels in a known format"):
        read(tmp_path)
