"""Files that list classes keep their order, and classes without objects, in formats whose labels only name the classes of objects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from detkit.data import DetectionData, SourceConfig, read_source

XML = (
    "<annotation><size><width>100</width><height>80</height></size><object><name>{}</name>"
    "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>50</xmax><ymax>60</ymax></bndbox></object></annotation>"
)
LABEL_MAP = "# label:color_rgb:parts:actions\nzebra:10,20,30::\n\nbackground:0,0,0::\nnot:a:name:::\nant:::\nplain\n"


def image_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 80), (9, 9, 9)).save(path)


def read(path: Path, split: str | None = None) -> DetectionData:
    return read_source(SourceConfig(path=str(path), split=split))


def voc(folder: Path, name: str) -> Path:
    image_file(folder / "JPEGImages" / f"{name}.jpg")
    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "Annotations" / f"{name}.xml").write_text(XML.format(name))
    return folder


def labelme(folder: Path, name: str) -> Path:
    image_file(folder / f"{name}.jpg")
    shape = {"label": name, "points": [[1, 2], [50, 60]], "shape_type": "rectangle"}
    (folder / f"{name}.json").write_text(json.dumps({"shapes": [shape], "imagePath": f"{name}.jpg", "imageHeight": 80, "imageWidth": 100}))
    return folder


@pytest.mark.parametrize("place", [".", "Annotations"])
def test_voc_with_the_label_map_of_cvat(tmp_path: Path, place: str) -> None:
    for name in ("ant", "bee", "zebra"):
        voc(tmp_path, name)
    assert read(tmp_path).class_names == ("ant", "bee", "zebra")
    (tmp_path / place / "labelmap.txt").write_text(LABEL_MAP)
    data = read(tmp_path)
    assert data.class_names == ("zebra", "not:a:name", "ant", "plain", "bee")
    assert [data.class_names[label] for label in data.records.labels] == ["ant", "bee", "zebra"]
    assert data.report.totals() == {}


def test_label_maps_of_voc_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        voc(tmp_path / split, "zebra" if split == "test" else "ant")
        (tmp_path / split / "labelmap.txt").write_text("zebra:::\nant:::\n")
    assert read(tmp_path, "train").class_names == read(tmp_path, "test").class_names == ("zebra", "ant")


@pytest.mark.parametrize("splits", [False, True])
def test_labelme_with_its_list_of_labels(tmp_path: Path, splits: bool) -> None:
    labelme(tmp_path / "train" if splits else tmp_path, "bee")
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nzebra\nbee\n", "utf-8-sig")
    data = read(tmp_path)
    assert data.class_names == ("zebra", "bee")
    assert data.records.labels.tolist() == [1]


def test_a_list_without_any_of_the_classes_is_reported_and_not_used(tmp_path: Path) -> None:
    labelme(tmp_path, "bee")
    (tmp_path / "labels.txt").write_text("a note\nabout the photographs\n")
    data = read(tmp_path)
    assert data.class_names == ("bee",)
    assert data.report.totals() == {"unused_class_list": 1}
    assert data.report.by_file() == {"labels.txt": {"unused_class_list": 1}}


def test_voc_corners_with_decimals_are_exact(tmp_path: Path) -> None:
    voc(tmp_path, "ant")
    numbers = {"xmin": 11.40625, "ymin": 2.001, "xmax": 50.25, "ymax": 60.125}
    corners = "".join(f"<{tag}>{value!r}</{tag}>" for tag, value in numbers.items())
    text = XML.format("ant")
    box = text[text.index("<xmin>") : text.index("</bndbox>")]
    (tmp_path / "Annotations" / "ant.xml").write_text(text.replace(box, corners))
    assert read(tmp_path).records.boxes.tolist() == [[10.40625, pytest.approx(1.001, abs=1e-7), 50.25, 60.125]]
