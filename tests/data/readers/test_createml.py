"""CreateML's JSON: boxes by their centers, folders of Roboflow and labelImg, and what is no such file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from PIL import Image

from detkit.data import DetectionData, SourceConfig, read_source, splits_of
from detkit.data.readers import recognize

BOX = {"label": "dog", "coordinates": {"x": 30.25, "y": 40, "width": 40.5, "height": 20}}
CAT = {"label": "cat", "coordinates": {"x": 5, "y": 6.0, "width": 2, "height": 4}}


def image_file(path: Path, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (100, 80), (9, 9, 9)).save(path, exif=exif)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def read(path: Path, **fields: Any) -> DetectionData:
    return read_source(SourceConfig(path=str(path), **fields))


@pytest.mark.parametrize(("key", "objects"), [("image", "annotations"), ("imagefilename", "annotation")])
@pytest.mark.parametrize("images", ["", "images/"])
def test_boxes(tmp_path: Path, key: str, objects: str, images: str) -> None:
    image_file(tmp_path / images / "sub" / "a.jpg")
    image_file(tmp_path / images / "b.jpg", orientation=6)
    content = [{key: "sub/a.jpg", objects: [BOX, CAT]}, {key: "b.jpg", objects: []}]
    path = write(tmp_path / "labels.json", content)
    for source in (path, tmp_path):
        assert recognize(source).kind == "createml"
        data = read(source)
        assert data.class_names == ("cat", "dog")
        assert_allclose(data.records.boxes, [[10, 30, 50.5, 50], [4, 4, 6, 8]])
        assert data.records.labels.tolist() == [1, 0]
        assert data.records.image_ids == ("sub/a.jpg", "b.jpg")
        assert data.records.sizes.tolist() == [[80, 100], [100, 80]]
        assert Path(data.image_root) == tmp_path / images
        assert data.report.totals() == {}


def test_a_list_of_classes(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    write(tmp_path / "labels.json", [{"image": "a.jpg", "annotations": [BOX]}])
    (tmp_path / "classes.txt").write_text("owl\ndog\n")
    data = read(tmp_path)
    assert recognize(tmp_path).kind == "createml"  # not YOLO, for which the list would be enough if there were label files
    assert (data.class_names, data.records.labels.tolist()) == (("owl", "dog"), [1])


def test_the_export_of_roboflow(tmp_path: Path) -> None:
    for part, box in (("train", BOX), ("valid", CAT), ("another", CAT)):
        image_file(tmp_path / part / "a.jpg")
        write(tmp_path / part / "_annotations.createml.json", [{"image": "a.jpg", "annotations": [box]}])
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("another", "train", "valid")
    for part, label in (("train", 1), ("valid", 0)):
        data = read(tmp_path, split=part)
        assert (data.class_names, data.records.labels.tolist()) == (("cat", "dog"), [label])
        assert Path(data.records.paths[0]) == tmp_path / part / "a.jpg"


def test_one_file_per_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        image_file(tmp_path / f"{name}.jpg")
        write(tmp_path / f"{name}.json", [{"image": f"{name}.jpg", "verified": False, "annotations": [BOX]}])
    assert splits_of(SourceConfig(path=str(tmp_path))) == ()
    assert len(read(tmp_path)) == 2


def test_a_folder_that_also_has_coco_labels_is_still_read_as_coco(tmp_path: Path) -> None:
    image_file(tmp_path / "train" / "a.jpg")
    write(tmp_path / "train" / "_annotations.createml.json", [{"image": "a.jpg", "annotations": [BOX]}])
    assert recognize(tmp_path).kind == "createml"
    annotations = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]
    images = [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}]
    coco = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    write(tmp_path / "train" / "_annotations.coco.json", coco)
    assert recognize(tmp_path).kind == "coco"
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("train",)
    assert len(read(tmp_path, split="train")) == 1


def changed(**fields: Any) -> list[Any]:
    return [{"image": "a.jpg", "annotations": [{**BOX, **fields}]}]


WRONG: dict[str, tuple[Any, str]] = {
    "no name": ([*changed(), {"annotations": []}], "image 2: expected image, a file name, and annotations, a list, got {'annotations'"),
    "a number": ([*changed(), 7], "image 2: expected image, a file name, and annotations, a list, got 7"),
    "no list": ([*changed(), {"image": "b.jpg", "annotations": {}}], "image 2: expected image"),
    "no label": (changed(label=" "), r"image 1 \('a\.jpg'\), annotation 1: expected a label, the class of the object"),
    "no box": (changed(coordinates=[1, 2, 3, 4]), "annotation 1: expected a label, the class of the object, and coordinates"),
    "a text": (changed(coordinates={"x": "1", "y": 2, "width": 3, "height": 4}), "x, y, width, height: expected a number, got '1'"),
    "a flag": (changed(coordinates={"x": True, "y": 2, "width": 3, "height": 4}), "x, y, width, height: expected a number, got 'True'"),
    "a side": (changed(coordinates={"x": 1, "y": 2, "width": 3}), "x, y, width, height: expected a number, got 'None'"),
    "twice": (changed() * 2, "several images are called 'a.jpg'"),
    "nothing": (changed(coordinates={"x": 1e400, "y": 2, "width": 3, "height": 10**400}), "not a finite number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(tmp_path: Path, name: str) -> None:
    content, message = WRONG[name]
    image_file(tmp_path / "a.jpg")
    path = write(tmp_path / "labels.json", content)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_file(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    path = write(tmp_path / "labels.json", changed())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read(path)) == 1
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ValueError, match=r"labels\.json: not valid JSON"):
        read(path)
