"""Error messages for unusable labeled data: they name the file and the remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from detkit.config import ConfigError
from detkit.data import DataConfig, SourceConfig, load_data, make_sample, read_source

GOOD_IMAGE = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}
GOOD_BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
GOOD_CLASS = {"id": 1, "name": "cat"}


def image(path: Path, size: tuple[int, int] = (100, 80)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def message(path: Path, **fields: Any) -> str:
    """Return the error message of reading the data; a single line that names it."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        read_source(SourceConfig(path=str(path), **fields))
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def coco(folder: Path, **parts: Any) -> Path:
    image(folder / "a.jpg")
    content = {"images": [GOOD_IMAGE], "annotations": [GOOD_BOX], "categories": [GOOD_CLASS], **parts}
    path = folder / "labels.json"
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return path


def with_fields(good: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in {**good, **fields}.items() if value is not ...}]


COCO: dict[str, tuple[dict[str, Any], str]] = {
    "no images key": (
        {"images": None},
        "expected a list 'images', as in COCO's instances files, got the keys: annotations, categories",
    ),
    "no annotations key": ({"annotations": None}, "expected a list 'annotations'"),
    "no images": ({"images": [], "annotations": []}, "it lists no images; expected at least one"),
    "no objects": ({"annotations": []}, "no labeled object in 1 images; expected at least one"),
    "no categories": ({"categories": []}, "it lists no categories; expected at least one"),
    "duplicate image id": (
        {"images": [GOOD_IMAGE, {**GOOD_IMAGE, "file_name": "b.jpg"}]},
        "image id 1 belongs to 2 images (1 ids occur more than once), so their boxes are ambiguous; give every image its own id",
    ),
    "duplicate category id": ({"categories": [GOOD_CLASS, {"id": 1, "name": "dog"}]}, "category id 1 belongs to several categories"),
    "duplicate class name": ({"categories": [GOOD_CLASS, {"id": 2, "name": "cat"}]}, "class names that occur more than once: cat"),
    "category id as a string": (
        {"categories": [{"id": "one", "name": "cat"}]},
        "category id: expected a whole number (64 bits), got 'one'; correct the file",
    ),
    "category without name": ({"categories": [{"id": 1}]}, "every category needs an id and a name; got [{'id': 1}]"),
    "image without name": ({"images": with_fields(GOOD_IMAGE, file_name=...)}, "every image needs an id and a file_name, got {'id': 1"),
    "image without id": ({"images": with_fields(GOOD_IMAGE, id=...)}, "every image needs an id and a file_name"),
    "invalid image id": ({"images": with_fields(GOOD_IMAGE, id=[1])}, "image id [1], file_name 'a.jpg': expected an integer"),
    "box of an unlisted image": ({"annotations": with_fields(GOOD_BOX, image_id=7)}, "an image that is not listed: 1 (image id 7)"),
    "unknown class": (
        {"annotations": with_fields(GOOD_BOX, category_id=9)},
        "the data does not define their class: 1 (a.jpg; such as a.jpg: class id 9)",
    ),
    "class as a string": (
        {"annotations": with_fields(GOOD_BOX, category_id="cat")},
        "annotation 1 of image 1: category_id: expected a whole number (64 bits), got 'cat'; correct the file",
    ),
    "class missing": (
        {"annotations": with_fields(GOOD_BOX, category_id=...)},
        "because the data does not define their class: 1 (a.jpg; such as a.jpg: no class id",
    ),
    "class with a fraction": ({"annotations": with_fields(GOOD_BOX, category_id=1.6)}, "category_id: expected a whole number"),
    "class too large": ({"annotations": with_fields(GOOD_BOX, category_id=10**30)}, "expected a whole number (64 bits), got 1000000000"),
    "crowd as a word": ({"annotations": with_fields(GOOD_BOX, iscrowd="some")}, "image 1: iscrowd: expected 0 or 1, got 'some'; correct"),
    "area as a word": ({"annotations": with_fields(GOOD_BOX, area="big")}, "image 1: area: expected a number, got 'big'; correct"),
    "missing image of a box": (
        {"annotations": with_fields(GOOD_BOX, image_id=...)},
        "every annotation needs an image_id, the id of a listed image, got {'id': 1, 'category_id': 1",
    ),
    "invalid image of a box": (
        {"annotations": with_fields(GOOD_BOX, image_id=[1])},
        "a listed image, got {'id': 1, 'image_id'",
    ),
    "box of three numbers": (
        {"annotations": with_fields(GOOD_BOX, bbox=[1, 2, 3])},
        "annotation 1 of image 1: bbox: expected four numbers x, y, width, height, got [1, 2, 3]; correct the file",
    ),
    "box of two corners": ({"annotations": with_fields(GOOD_BOX, bbox=[[1, 2], [3, 4]])}, "bbox: expected four numbers"),
    "box of words": ({"annotations": with_fields(GOOD_BOX, bbox=["1", "2", "3", "x"])}, "bbox: expected four numbers"),
    "box missing": ({"annotations": with_fields(GOOD_BOX, bbox=...)}, "because they have neither a box nor a polygon: 1 (image id 1"),
    "box with NaN": (
        {"annotations": with_fields(GOOD_BOX, bbox=[float("nan"), 1, 2, 3])},
        "a coordinate is not a finite number: 1 (a.jpg",
    ),
    "box outside": ({"annotations": with_fields(GOOD_BOX, bbox=[300, 1, 20, 20])}, "they are outside their image: 1 (a.jpg"),
    "box without width": ({"annotations": with_fields(GOOD_BOX, bbox=[3, 1, 0, 20])}, "they have no width or height: 1 (a.jpg"),
    "stated size is not the file's": (
        {"images": with_fields(GOOD_IMAGE, width=640)},
        "640x80 is stated, the file has 100x80 (width x height)",
    ),
    "path outside the image folder": (
        {"images": [GOOD_IMAGE, {**GOOD_IMAGE, "id": 2, "file_name": "../../etc/passwd.jpg"}]},
        "the image '../../etc/passwd.jpg' is outside the image folder",
    ),
    "absolute path": ({"images": [GOOD_IMAGE, {**GOOD_IMAGE, "id": 2, "file_name": "/etc/x.jpg"}]}, "the image '/etc/x.jpg' is outside"),
    "path outside, with backslashes": (
        {"images": [GOOD_IMAGE, {**GOOD_IMAGE, "id": 2, "file_name": "b\\..\\..\\x.jpg"}]},
        "is outside the image folder",
    ),
    "images elsewhere": (
        {"images": with_fields(GOOD_IMAGE, file_name="z.jpg")},
        "its images, such as z.jpg, were not found; searched in",
    ),
}


@pytest.mark.parametrize("name", COCO)
def test_coco(name: str, tmp_path: Path) -> None:
    parts, expected = COCO[name]
    assert expected in message(coco(tmp_path, **parts))


TEXTS = {
    "truncated": (
        '{"images": [{"id": 1, "file_na',
        "not valid JSON (EOF while parsing",
        "the file may be truncated, download or export it again",
    ),
    "empty file": ("", "the file is empty; expected COCO JSON", ""),
    "a list of results": ('[{"image_id": 1, "bbox": [1, 2, 3, 4]}]', "got a list, as in a results file; give the ground truth here", ""),
    "a number": ("3", "expected a COCO object with images, annotations and categories, got int", ""),
}


@pytest.mark.parametrize("name", TEXTS)
def test_invalid_json(name: str, tmp_path: Path) -> None:
    text, *expected = TEXTS[name]
    (tmp_path / "labels.json").write_text(text)
    text = message(tmp_path / "labels.json")
    assert all(part in text for part in expected)


def test_json_in_utf16(tmp_path: Path) -> None:
    path = coco(tmp_path)
    path.write_text(path.read_text(), "utf-16")
    assert message(path).endswith("; it is UTF-16, save it as UTF-8")


def test_images_missing_from_the_given_folder(tmp_path: Path) -> None:
    path = coco(tmp_path)
    (tmp_path / "empty").mkdir()
    text = message(path, images=str(tmp_path / "empty"))
    assert "none of its 1 images exists" in text
    assert text.endswith("name the folder that contains them as images")


def test_missing_folder_of_images(tmp_path: Path) -> None:
    path = coco(tmp_path)
    assert f"images {tmp_path / 'nowhere'}: no such folder, for the images of {path}" in message(path, images=str(tmp_path / "nowhere"))


# Pascal VOC


def voc(folder: Path, xml: str) -> Path:
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "a.xml").write_text(xml)
    image(folder / "JPEGImages" / "a.jpg")
    return folder


def annotation(objects: str, size: str = "<width>100</width><height>80</height>") -> str:
    return f"<annotation><filename>a.jpg</filename><size>{size}</size>{objects}</annotation>"


BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>50</xmax><ymax>50</ymax></bndbox>"
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {n} "{("&" + p + ";") * 10}">' for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)
VOC = {
    "truncated": (annotation(f"<object><name>cat</name>{BOX}</object>")[:90], "not readable XML ("),
    "empty file": ("", "the file is empty; expected an <annotation>"),
    "another root": ("<html></html>", "expected <annotation> as in Pascal VOC, got <html>"),
    "CVAT's own format": ("<annotations><image/></annotations>", "expected the name of its file"),
    "object without a name": (annotation(f"<object>{BOX}</object>"), "object 1 has no <name>; expected its class"),
    "object without a box": (annotation("<object><name>cat</name></object>"), "object 1 (cat) has no <bndbox>"),
    "box with a word": (
        annotation(f"<object><name>cat</name>{BOX.replace('50', 'wide')}</object>"),
        "object 1 (cat): expected four numbers xmin, ymin, xmax, ymax, got 'wide'",
    ),
    "box with a corner missing": (
        annotation(f"<object><name>cat</name>{BOX.replace('<xmax>50</xmax>', '')}</object>"),
        "expected four numbers xmin, ymin, xmax, ymax, got 'missing'",
    ),
    "wrong size": (
        annotation(f"<object><name>cat</name>{BOX}</object>", "<width>640</width><height>480</height>"),
        "because the labels state another size than the file has: 1 (a.xml; such as a.xml: 640x480 is stated, the file has 100x80",
    ),
    "no objects at all": (annotation(""), "no labeled object in 1 images"),
    "difficult as a word": (
        annotation(f"<object><name>cat</name><difficult>rather</difficult>{BOX}</object>"),
        "a.xml: object 1 (cat): difficult: expected 0 or 1, got 'rather'",
    ),
    "entity expansion bomb": (
        BOMB + "]>" + annotation("<object><name>&i;</name></object>"),
        "not readable XML (limit on input amplification",
    ),
}


@pytest.mark.parametrize("name", VOC)
def test_voc(name: str, tmp_path: Path) -> None:
    xml, expected = VOC[name]
    assert expected in message(voc(tmp_path, xml))


LISTS = {
    "empty list": ("\n", "the list is empty; expected one image name per line"),
    "a name outside the folder": ("../a\n", "the name '../a' is outside the image folder"),
    "only missing images": ("x\ny\n", "none of its 2 images exists"),
}


@pytest.mark.parametrize("name", LISTS)
def test_voc_lists(name: str, tmp_path: Path) -> None:
    text, expected = LISTS[name]
    voc(tmp_path, annotation(f"<object><name>cat</name>{BOX}</object>"))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text(text)
    assert expected in message(tmp_path, split="train")


def test_equal_image_names_in_two_years(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        (tmp_path / year).mkdir()
        voc(tmp_path / year, annotation(f"<object><name>cat</name>{BOX}</object>"))
    assert "several images are called 'a', so their boxes are ambiguous; rename all but one" in message(tmp_path)


# YOLO


def yolo(folder: Path, labels: str | None = "0 .5 .5 .2 .2\n", description: str = "train: images\nnames: [cat]\n") -> Path:
    image(folder / "images" / "a.png")
    (folder / "labels").mkdir()
    if labels is not None:
        (folder / "labels" / "a.txt").write_text(labels)
    path = folder / "data.yaml"
    path.write_text(description)
    return path


YOLO: dict[str, tuple[dict[str, Any], str]] = {
    "four numbers": (
        {"labels": "0 .5 .5 .2\n"},
        "line 1: expected class x y width height (and a confidence from 0 to 1), or a class and the points of a polygon, got 4 numbers",
    ),
    "a sixth number that is no confidence": ({"labels": "0 .5 .5 .2 .2 17\n"}, "of a polygon, got 6 numbers: '0 .5 .5 .2 .2 17'"),
    "a word": ({"labels": "0 .5 .5 .2 .2\ncat .5 .5 .2 .2\n"}, "line 2: expected numbers, class x y width height, got 'cat .5 .5 .2 .2'"),
    "class with a fraction": ({"labels": "0.5 .5 .5 .2 .2\n"}, "line 1: expected class x y width height"),
    "class too large": ({"labels": "1e300 .5 .5 .2 .2\n"}, "line 1: expected class x y width height"),
    "class is NaN": ({"labels": "nan .5 .5 .2 .2\n"}, "line 1: expected class x y width height"),
    "class out of range": (
        {"labels": "3 .5 .5 .2 .2\n"},
        "the data does not define their class: 1 (images/a.png; such as images/a.png: class id 3)",
    ),
    "pixels instead of fractions": ({"labels": "0 250 130 40 60\n"}, "they are outside their image: 1"),
    "no label files": ({"labels": None}, "none of its 1 images has a label file; expected "),
    "names missing": (
        {"description": "train: images\n"},
        "expected names, a list of class names or a mapping from numbers to names, got None",
    ),
    "numbers of names with a gap": (
        {"description": "train: images\nnames: {0: a, 2: b}\n"},
        "names: expected the numbers 0 to 1, each once, got 0, 2",
    ),
    "nc and names differ": (
        {"description": "train: images\nnc: 3\nnames: [cat]\n"},
        "nc is 3 but names has 1 classes; correct one of them",
    ),
    "not YAML": ({"description": "train: [images\nnames: {"}, "not readable YAML ("),
    "no mapping": ({"description": "- names\n"}, "expected a mapping with names and train, got list"),
    "no splits": ({"description": "names: [cat]\n"}, "expected at least one of the keys train, val, test, got none"),
    "split of a wrong type": ({"description": "train: 3\nnames: [cat]\n"}, "train: expected a path or a list of paths, got 3"),
    "folder missing": ({"description": "train: photos\nnames: [cat]\n"}, "train: photos: no such folder or list; searched in"),
    "folder without images": (
        {"description": "train: labels\nnames: [cat]\n"},
        "train: no images in labels; expected files that end in .jpg",
    ),
}


@pytest.mark.parametrize("name", YOLO)
def test_yolo(name: str, tmp_path: Path) -> None:
    parts, expected = YOLO[name]
    with pytest.raises(ValueError, match=".") as caught:
        read_source(SourceConfig(path=str(yolo(tmp_path, **parts))))
    assert expected in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_description_file_in_another_encoding(encoding: str, tmp_path: Path) -> None:
    path = yolo(tmp_path)
    path.write_text("train: images\nnames: [Äpfel]\n", encoding)
    assert "data.yaml: not a text file in UTF-8 (byte " in message(path)
    assert "data.yaml: not a text file in UTF-8 (byte " in message(tmp_path)


def test_binary_labels(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "labels" / "a.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ValueError, match=r"labels.a\.txt: not a text file in UTF-8 \(byte 0: invalid start byte\); save it as UTF-8"):
        read_source(SourceConfig(path=str(tmp_path)))


# any format


def test_missing_data_names_the_download_command() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        read_source(SourceConfig(path="data/coco", fetch_command="python datasets/fetch_coco.py data/coco"))
    assert str(caught.value) == "data data/coco: no such file or folder; get it with: python datasets/fetch_coco.py data/coco"
    with pytest.raises(FileNotFoundError, match="no such file or folder; check the path"):
        load_data(DataConfig(train=SourceConfig(path="data/none")))


def test_no_data_set() -> None:
    with pytest.raises(ValueError, match="no data is set; give a COCO JSON file, a YOLO data.yaml or a folder: data=FOLDER"):
        load_data(DataConfig())


def a_file(folder: Path) -> Path:
    (folder / "labels.csv").write_text("a,b")
    return folder / "labels.csv"


def labels_without_yaml(folder: Path) -> Path:
    yolo(folder).unlink()
    return folder


def yaml_without_names(folder: Path) -> Path:
    yolo(folder, description="train: images\nnc: 1\n")
    return folder


def only_images(folder: Path) -> Path:
    image(folder / "a.jpg")
    return folder


UNKNOWN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty folder": (lambda folder: folder, "; the folder contains nothing"),
    "folder of images": (only_images, "; the folder contains a.jpg"),
    "another kind of file": (a_file, "; it begins with 'a,b'; expected the header filename,width,height,class,xmin,ymin,xmax,ymax"),
    "YOLO labels without names": (yaml_without_names, "data.yaml has no names, which YOLO data needs: add the key names"),
    "YOLO labels without a description": (labels_without_yaml, "has a folder of labels but no data.yaml: write "),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_formats(name: str, tmp_path: Path) -> None:
    make, hint = UNKNOWN[name]
    text = message(make(tmp_path))
    assert "no labels in a known format; expected YOLO: a .yaml" in text
    assert "Pascal VOC: a folder with Annotations/*.xml" in text
    assert hint in text


def test_missing_splits(tmp_path: Path) -> None:
    make_sample(tmp_path / "s", images=2, val_images=1, short_side=64)
    folder = tmp_path / "s"
    assert "it has no split 'tain': did you mean 'train'? Its splits are train, val" in message(folder, split="tain")
    assert message(folder, split="test").endswith("it has no split 'test': expected one of: train, val")
    assert "it has the splits train, val; name one of them as the split" in message(folder)
    assert "it has no splits, so split 'val' cannot be read" in message(folder / "annotations" / "instances_val.json", split="val")


def test_different_class_lists(tmp_path: Path) -> None:
    make_sample(tmp_path / "s", images=2, val_images=1, short_side=64)
    val = coco(tmp_path, categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}])
    with pytest.raises(ValueError, match="the classes differ") as caught:
        load_data(DataConfig(train=SourceConfig(path=str(tmp_path / "s")), val=SourceConfig(path=str(val))))
    assert "the data has 2 [cat, dog]; expected 5 [cat, coin, cup, rocket, wheel]; only in the data: 1 [dog]" in str(caught.value)


CONFIGS: dict[str, tuple[Callable[[], Any], str]] = {
    "rename without equals": (lambda: DataConfig(rename=("tvmonitor",)), "rename: class rename 'tvmonitor': expected DATA_NAME=NEW_NAME"),
    "fraction of one": (lambda: DataConfig(val_fraction=1.0), "val_fraction: expected less than 1, got 1.0"),
    "fraction of zero": (lambda: DataConfig(val_fraction=0.0), "val_fraction: expected greater than 0"),
    "misspelled key": (lambda: SourceConfig(**cast("dict[str, Any]", {"pth": "x"})), "unknown key 'pth': did you mean 'path'?"),
    "classes as one string": (lambda: DataConfig(classes=cast("Any", "cat")), "classes: expected a tuple, got 'cat'"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configs(name: str) -> None:
    make, expected = CONFIGS[name]
    with pytest.raises(ConfigError) as caught:
        make()
    assert expected in str(caught.value)


def test_validation_set_twice(tmp_path: Path) -> None:
    path = coco(tmp_path)
    source = SourceConfig(path=str(path))
    with pytest.raises(ValueError, match=r"data\.val and data\.val_fraction are both given; expected one of them"):
        load_data(DataConfig(train=source, val=source, val_fraction=0.5))


def test_one_image_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 image cannot be split into training and validation; expected two or more"):
        load_data(DataConfig(train=SourceConfig(path=str(coco(tmp_path)))))


def test_invalid_samples(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(ValueError, match="it exists and is not empty; name a new folder, or remove it first"):
        make_sample(tmp_path)
    with pytest.raises(ValueError, match="expected at least one training and one validation image, got 0"):
        make_sample(tmp_path / "new", images=0)
