"""Polygons and run lengths are read from every format that has them, and written back as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from detkit import json_lists
from detkit.data import DetectionData, SourceConfig, read_source, write_labels
from detkit.data.media.exif import apply_orientation

POLYGONS = [[12.53, 10.1, 40, 10, 40.07, 50.123456789], [1, 2, 3, 4, 5, 6]]
COMPRESSED = {"counts": "aa]],[0\\", "size": [80, 100]}
COUNTS = {"size": [80, 100], "counts": [272, 2, 4, 4]}


def image_file(path: Path, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (100, 80), (90, 120, 60)).save(path, exif=exif)
    return path


def coco_file(folder: Path, values: list[Any], orientation: int = 1, **fields: Any) -> Path:
    image_file(folder / "a.jpg", orientation)
    rows = [{"segmentation": value} if value is not ... else {} for value in values]
    annotations = [{"id": n, "image_id": 7, "category_id": 1, "bbox": [5, 5, 40, 30 + n], **row, **fields} for n, row in enumerate(rows, 1)]
    images = [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 80}]
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}))
    return path


def read(path: Path) -> DetectionData:
    return read_source(SourceConfig(path=str(path)))


def stored(data: DetectionData) -> list[Any]:
    rows = data.records.segmentations
    return [None] * len(data.records.boxes) if rows is None else [rows.stored(row) for row in range(len(rows))]


@pytest.mark.parametrize("block", [40, 1 << 20])
def test_coco_is_written_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(json_lists, "BLOCK", block)
    values = [POLYGONS, COMPRESSED, ..., COUNTS, [], None, [[0, 0, 1, 0, 1, 1]]]
    expected = [POLYGONS, COMPRESSED, None, COUNTS, None, None, [[0, 0, 1, 0, 1, 1]]]
    path = coco_file(tmp_path / "read", values)
    data = read(path)
    assert stored(data) == expected
    write_labels(data, tmp_path / "written", "coco", "train")
    written = json.loads((tmp_path / "written" / "annotations" / "instances_train.json").read_text())
    assert [row.get("segmentation") for row in written["annotations"]] == expected
    published = json.loads(path.read_text())
    assert [row["bbox"] for row in written["annotations"]] == [row["bbox"] for row in published["annotations"]]


def test_masks_in_words_and_in_other_keys_are_not_taken_for_the_objects_own(tmp_path: Path) -> None:
    parts = {"parts": [{"segmentation": [[9, 9, 9, 9, 9, 9]]}], "note": 'a "segmentation": [1, 2] in words'}
    data = read(coco_file(tmp_path, [POLYGONS, ...], **parts))
    assert stored(data) == [POLYGONS, None]


def test_a_data_set_without_masks_has_no_column(tmp_path: Path) -> None:
    assert read(coco_file(tmp_path, [[], ..., None])).records.segmentations is None


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = coco_file(tmp_path, [POLYGONS])
    rows = read(path).records.segmentations
    assert rows is not None
    path.write_text(path.read_text() + " ")
    with pytest.raises(ValueError, match="the file has changed since its labels were read"):
        rows.stored(0)
    path.unlink()
    with pytest.raises(ValueError, match="its segmentations cannot be read"):
        rows.stored(0)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_masks_of_rotated_images_turn_with_the_boxes(tmp_path: Path, orientation: int) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    array = np.zeros((80, 100), np.uint8)
    array[10:30, 20:70] = 1
    encoded = mask.encode(np.asfortranarray(array))
    runs = {"size": encoded["size"], "counts": encoded["counts"].decode()}
    data = read(coco_file(tmp_path, [[[20, 10, 70, 10, 70, 30, 20, 30]], runs], orientation, bbox=[20, 10, 50, 20]))
    polygons, upright = stored(data)
    if orientation < 5:  # height and width are not swapped, so the labels may be of either image: they are left as they are
        assert data.report.totals() == {}
        assert polygons == [[20, 10, 70, 10, 70, 30, 20, 30]]
        return
    points = np.array(polygons[0]).reshape(-1, 2)
    assert_allclose([*points.min(0), *points.max(0)], data.records.boxes[0])
    np.testing.assert_array_equal(mask.decode(upright), apply_orientation(array[:, :, None], orientation)[:, :, 0])


def test_yolo_polygons_are_in_pixels(tmp_path: Path) -> None:
    image_file(tmp_path / "images" / "a.jpg")
    image_file(tmp_path / "images" / "b.jpg", 6)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .2 .2\n0 .1 .25 .5 .25 .5 .5\n")
    (tmp_path / "labels" / "b.txt").write_text("0 .1 .25 .5 .25 .5 .5 .1 .5\n")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat]\n")
    data = read(tmp_path)
    assert stored(data) == [None, [[10, 20, 50, 20, 50, 40]], [[8, 25, 40, 25, 40, 50, 8, 50]]]


@pytest.mark.parametrize(
    "polygon",
    [
        "<polygon><x1>10.5</x1><y1>20.5</y1><x2>30.5</x2><y2>20.5</y2><x3>30.5</x3><y3>40.5</y3></polygon>",
        "<polygon><pt><x>10.5</x><y>20.5</y></pt><pt><x>30.5</x><y>20.5</y></pt><pt><x>30.5</x><y>40.5</y></pt></polygon>",
    ],
)
def test_voc_polygons_are_read(tmp_path: Path, polygon: str) -> None:
    image_file(tmp_path / "a.jpg")
    box = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    size = "<size><width>100</width><height>80</height></size>"
    objects = f"<object><name>cat</name>{box}{polygon}</object><object><name>cat</name>{box}</object>"
    (tmp_path / "a.xml").write_text(f"<annotation><filename>a.jpg</filename>{size}{objects}</annotation>")
    assert stored(read(tmp_path)) == [[[10, 20, 30, 20, 30, 40]], None]


def test_selections_of_images_and_classes_keep_the_masks(tmp_path: Path) -> None:
    data = read(coco_file(tmp_path, [POLYGONS, COMPRESSED, ...]))
    assert stored(data.take([0, 0])) == [POLYGONS, COMPRESSED, None] * 2
    assert stored(replace(data, records=data.records.where(np.array([False, True, True])))) == [COMPRESSED, None]
