"""Regions to ignore, from difficult objects and from a class called ignore: reading, mapping, counting, writing as a class."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detkit.data import ClassMapping, DetectionData, ReadIssue, SourceConfig, read_source
from detkit.data.crops import CropConfig, classification_data
from detkit.data.ignore import IGNORE_CLASS, ignore_class, with_ignore_class
from detkit.data.splits import class_lines
from detkit.training.fingerprint import DataFingerprint

CLASSES = ("car", "Ignore", "person")
ROWS = ((0, 1, 1, 40, 30), (1, 50, 0, 50, 80), (2, 10, 40, 20, 20), (2, 60, 10, 30, 30))
"""Class, x, y, width, height; the last one is marked as difficult where the format can."""


def write_coco(folder: Path, classes: tuple[str, ...] = CLASSES, **flags: Any) -> Path:
    write_image(folder / "a.png")
    annotations = [
        {"id": index, "image_id": 1, "category_id": 10 * row[0], "bbox": row[1:], **({"difficult": 1} if index == 3 else {}), **flags}
        for index, row in enumerate(ROWS)
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": annotations,
        "categories": [{"id": 10 * index, "name": name} for index, name in enumerate(classes)],
    }
    (folder / "labels.json").write_text(json.dumps(content))
    return folder / "labels.json"


def write_yolo(folder: Path) -> Path:
    for part in ("images", "labels"):
        (folder / part).mkdir()
    write_image(folder / "images" / "a.png")
    lines = [f"{label} {(x + w / 2) / 100} {(y + h / 2) / 80} {w / 100} {h / 80}" for label, x, y, w, h in ROWS]
    (folder / "labels" / "a.txt").write_text("\n".join(lines))
    (folder / "data.yaml").write_text(f"train: images\nnames: {json.dumps(CLASSES)}\n")
    return folder / "data.yaml"


def write_voc(folder: Path) -> Path:
    for part in ("JPEGImages", "Annotations"):
        (folder / part).mkdir()
    write_image(folder / "JPEGImages" / "a.png")
    objects = "".join(
        f"<object><name>{CLASSES[label]}</name><difficult>{int(index == 3)}</difficult><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
        f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
        for index, (label, x, y, w, h) in enumerate(ROWS)
    )
    size = "<size><width>100</width><height>80</height><depth>3</depth></size>"
    (folder / "Annotations" / "a.xml").write_text(f"<annotation><filename>a.png</filename>{size}{objects}</annotation>")
    return folder


def write_image(path: Path) -> None:
    cv2.imwrite(str(path), np.zeros((80, 100, 3), np.uint8))


def read(path: Path, **options: Any) -> DetectionData:
    return read_source(SourceConfig(path=str(path), **options))


@pytest.mark.parametrize("write", [write_coco, write_yolo, write_voc])
def test_a_class_called_ignore_is_no_class_but_regions(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path)
    data = read(path)
    assert data.class_names == ("car", "person")
    assert data.records.labels.tolist() == [0, 0, 1, 1]
    assert data.records.is_ignore.tolist() == [False, True, False, False]
    assert data.records.is_crowd.tolist()[:3] == [False, True, False]
    assert data.records.boxes[1].tolist() == [50.0, 0.0, 100.0, 80.0]
    assert data.report.count(ReadIssue.IGNORED_CLASS) == 1
    assert [line.split()[-2] for line in class_lines(data)] == ["1", "2"]
    assert data.records.class_counts(2).tolist() == [1, 2]
    ordinary = read(path, ignore_classes=())
    assert sorted(ordinary.class_names) == sorted(CLASSES)
    assert not ordinary.records.is_ignore.any()
    assert ordinary.report.count(ReadIssue.IGNORED_CLASS) == 0


@pytest.mark.parametrize("write", [write_coco, write_voc])
def test_difficult_objects_are_crowds_unless_they_are_read_as_objects(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path)
    data, objects = read(path), read(path, difficult="object")
    assert data.records.is_crowd.tolist() == [False, True, False, True]
    assert objects.records.is_crowd.tolist() == [False, True, False, False]
    assert data.records.is_difficult.tolist() == objects.records.is_difficult.tolist() == [False, False, False, True]
    assert not data.records.is_ignore[3]
    assert (data.report.count(ReadIssue.IGNORED_DIFFICULT), objects.report.count(ReadIssue.IGNORED_DIFFICULT)) == (1, 0)


def test_the_only_class_cannot_be_ignored(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"its only class, 'ignore', marks regions"):
        read(write_coco(tmp_path, ("ignore",) * 1 + ("IGNORE ", " Ignored Regions")))


def test_data_without_regions_is_the_same_object(tmp_path: Path) -> None:
    data = read(write_coco(tmp_path), ignore_classes=())
    assert ignore_class(data, ("other",)) is data
    assert with_ignore_class(data, crowds=False) is data


def test_regions_survive_the_selection_of_classes(tmp_path: Path) -> None:
    data = read(write_coco(tmp_path))
    mapped = ClassMapping.by_name(data.class_names, ("person",)).apply(data)
    assert mapped.records.is_ignore.tolist() == [True, False, False]
    assert mapped.records.labels.tolist() == [0, 0, 0]
    assert mapped.report.count(ReadIssue.CLASS_NOT_SELECTED) == 1
    assert mapped.coco_file is not None
    assert mapped.coco_file.ignored == {10}


def test_regions_become_a_class_for_formats_without_a_flag(tmp_path: Path) -> None:
    data = read(write_coco(tmp_path))
    written = with_ignore_class(data, crowds=False)
    assert written.class_names == ("car", "person", IGNORE_CLASS)
    assert written.category_ids == (0, 20, 21)
    assert written.records.labels.tolist() == [0, 2, 1, 1]
    assert written.records.is_crowd.tolist() == [False, False, False, True]
    again = ignore_class(written)
    for name in ("labels", "is_crowd", "is_ignore", "boxes"):
        assert np.array_equal(getattr(again.records, name), getattr(data.records, name)), name
    assert with_ignore_class(data).records.labels.tolist() == [0, 2, 1, 2]


def test_regions_have_no_crop(tmp_path: Path) -> None:
    data = read(write_coco(tmp_path))
    crops = classification_data(data, CropConfig())
    assert crops.records.labels.tolist() == [0, 1]


def test_fingerprint_is_that_of_earlier_versions_without_regions_and_differs_with_them(tmp_path: Path) -> None:
    data = read(write_coco(tmp_path))
    columns = data.records.columns
    plain = replace(data, records=replace(data.records, columns={**columns, "is_ignore": np.zeros(4, np.bool_)}))
    assert DataFingerprint.of(plain).labels != DataFingerprint.of(data).labels
