"""Label Studio's JSON: regions in percent, the annotation that counts, images by the names of uploads and storages, and wrong files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from PIL import Image

from detkit.data import DetectionData, ReadIssue, SourceConfig, read_source, splits_of
from detkit.data.readers import recognize

VALUE = {"x": 10, "y": 25.0, "width": 40, "height": 50}


def image_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 80), (9, 9, 9)).save(path)


def region(kind: str = "rectanglelabels", labels: Any = ("dog",), **value: Any) -> dict[str, Any]:
    """A region; a rectangle from (10, 20) to (50, 60) unless its value is given."""
    whole = {**(value or VALUE), kind: list(labels)}
    return {"id": "x", "type": kind, "to_name": "image", "original_width": 100, "original_height": 80, "image_rotation": 0, "value": whole}


def task(*regions: Any, image: str = "a.jpg", number: int = 1, **fields: Any) -> dict[str, Any]:
    annotations = [{"id": number, "was_cancelled": False, "result": list(regions)}]
    return {"id": number, "annotations": annotations, "predictions": [], "data": {"image": image}, **fields}


def write(path: Path, *tasks: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tasks))
    return path


def read(path: Path, **fields: Any) -> DetectionData:
    return read_source(SourceConfig(path=str(path), **fields))


def test_every_region(tmp_path: Path) -> None:
    image_file(tmp_path / "images" / "a.jpg")
    points = [[10, 10], [50, 10], [50.5, 100]]
    regions = [
        region(labels=("dog", "big")),
        region(**VALUE, rotation=90),
        region("polygonlabels", ["cat"], points=points, closed=True),
        region("ellipselabels", ["cat"], x=50, y=50, radiusX=20, radiusY=10, rotation=90),
        region("brushlabels", ["cat"], format="rle", rle=[0, 1, 2]),
        region("keypointlabels", ["cat"], x=1, y=2, width=0.5),
        {"type": "choices", "value": {"choices": ["indoors"]}},
        {"type": "relation", "from_id": "x", "to_id": "y"},
    ]
    path = write(tmp_path / "project-1-at-2024.json", task(*regions), task(image="/data/upload/1/0123abcd-a.jpg", number=7))
    image_file(tmp_path / "images" / "0123abcd-a.jpg")
    for source in (tmp_path, path):
        assert recognize(source).kind == "label_studio"
        data = read(source)
        assert data.class_names == ("big", "cat", "dog")
        turned = [10 - 40, 20, 10, 60]  # about the corner (10, 20)
        expected = [[10, 20, 50, 60], [10, 20, 50, 60], [0, *turned[1:]], [10, 8, 50.5, 80], [42, 20, 58, 60]]
        assert_allclose(data.records.boxes, expected, rtol=1e-6)
        assert [data.class_names[label] for label in data.records.labels] == ["dog", "big", "dog", "cat", "cat"]
        assert data.records.image_ids == (1, 7)
        assert data.records.lengths.tolist() == [5, 0]
        assert data.report.totals() == {"clipped": 1, "polygon": 1, "ellipse": 1, "turned": 1, "unread_shape": 2}
        assert data.records.segmentations is not None
        assert data.records.segmentations.stored(3) == [[10, 8, 50, 8, 50.5, 80]]
        assert Path(data.image_root) == tmp_path / "images"


def test_rotation_is_about_the_first_corner(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    half = math.sqrt(0.5)
    data = read(write(tmp_path / "t.json", task(region(x=50, y=25, width=20, height=10, rotation=45))))
    assert_allclose(data.records.boxes, [[50 - 8 * half, 20, 50 + 20 * half, 20 + 28 * half]], rtol=1e-6)


def test_a_turned_view_is_reported(tmp_path: Path) -> None:
    for name in "ab":
        image_file(tmp_path / "images" / f"{name}.jpg")
    turned = {**region(), "image_rotation": 90}
    data = read(write(tmp_path / "project.json", task(region()), task(turned, region(), image="b.jpg", number=2)))
    assert data.report.counts[ReadIssue.TURNED_VIEW] == {"b.jpg": 1}


def test_classes_in_results_of_their_own(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    shape = {**region(), "type": "rectangle", "value": VALUE}
    data = read(write(tmp_path / "t.json", task(shape, {"id": "x", "type": "labels", "value": {**VALUE, "labels": ["owl"]}})))
    assert (data.class_names, len(data.records.boxes)) == (("owl",), 1)


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ([{}, {}], 1),
        ([{"updated_at": "2024-02-01T00:00:00Z"}, {"updated_at": "2024-01-01T00:00:00Z"}], 0),
        ([{"ground_truth": True}, {"updated_at": "2024-01-01T00:00:00Z"}], 0),
        ([{"created_at": "2024"}, {"was_cancelled": True, "ground_truth": True}], 0),
    ],
)
def test_the_annotation_that_counts(tmp_path: Path, fields: list[dict[str, Any]], chosen: int) -> None:
    image_file(tmp_path / "a.jpg")
    annotations = [{"id": n, "result": [region(labels=[f"c{n}"])], **more} for n, more in enumerate(fields)]
    data = read(write(tmp_path / "t.json", task(annotations=annotations, predictions=[{"result": [region()]}])))
    assert data.class_names == (f"c{chosen}",)
    assert data.report.totals() == {"other_annotation": 1, "prediction": 1}


def test_a_task_without_an_annotation_is_an_image_without_labels(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        image_file(tmp_path / name)
    data = read(write(tmp_path / "t.json", task(region()), task(image="b.jpg", number=2, annotations=[])))
    assert data.report.totals() == {"no_label_file": 1}
    assert data.records.lengths.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("/data/upload/1/0123abcd-my%20photo.jpg", "images/0123abcd-my photo.jpg"),
        ("/data/upload/1/0123abcd-my%20photo.jpg", "images/my photo.jpg"),
        ("/data/upload/0123abcd-photo.jpg", "deep/below/photo.jpg"),
        ("/data/local-files/?d=images/train/a%20b.jpg", "images/train/a b.jpg"),
        ("/data/local-files/?d=mnt/disk/a.jpg", "images/a.jpg"),
        ("s3://bucket/folder/a.jpg", "images/a.jpg"),
        ("https://example.org/x/a.jpg", "a.jpg"),
        ("a.jpg", "a.jpg"),
    ],
)
@pytest.mark.parametrize("key", ["image", "photo"])
def test_names_of_images(tmp_path: Path, image: str, file: str, key: str) -> None:
    image_file(tmp_path / file)
    data = read(write(tmp_path / "t.json", task(region(), data={"note": "x", key: image})))
    assert [Path(path) for path in data.records.paths] == [tmp_path / file]


def test_the_export_with_less_content(tmp_path: Path) -> None:
    """JSON-MIN has an entry for each annotation."""
    for name in ("a.jpg", "b.jpg"):
        image_file(tmp_path / name)
    box = {**VALUE, "rotation": 0, "rectanglelabels": ["dog"], "original_width": 100, "original_height": 80}
    polygon = {"points": [[1, 2], [3, 4], [9, 9]], "polygonlabels": ["cat"], "original_width": 100, "original_height": 80}
    entry = {"image": "/data/upload/1/0123abcd-a.jpg", "id": 4, "annotator": 1, "annotation_id": 9, "label": [box, polygon]}
    second = {**entry, "image": "b.jpg", "id": 5}
    path = write(tmp_path / "t.json", entry, {**entry, "label": [box], "annotation_id": 10}, second)
    assert recognize(path).kind == "label_studio"
    data = read(path)
    assert data.records.image_ids == (4, 5)
    assert data.records.lengths.tolist() == [1, 2]
    assert data.report.totals() == {"other_annotation": 1, "polygon": 1}


def test_splits_and_a_list_of_classes(tmp_path: Path) -> None:
    for part, name in (("train", "dog"), ("val", "cat")):
        image_file(tmp_path / "images" / part / "sub" / "a.jpg")
        image = f"/data/local-files/?d=images/{part}/sub/a.jpg"
        write(tmp_path / f"{part}.json", task(region(labels=[name]), image=image))
    (tmp_path / "classes.txt").write_text("dog\nowl\ncat\n")
    assert recognize(tmp_path).kind == "label_studio"
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("train", "val")
    data = read(tmp_path, split="val")
    assert (data.class_names, data.records.labels.tolist()) == (("dog", "owl", "cat"), [2])
    assert Path(data.image_root) == tmp_path / "images" / "val"


def test_a_long_first_task_is_recognized(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    path = write(tmp_path / "t.json", task(*[region()] * 2_000))
    assert path.stat().st_size > 300_000
    assert len(read(path).records.boxes) == 2_000


WRONG: dict[str, tuple[Any, str]] = {
    "no object": (7, "task 2: expected an object with data and annotations, got 7"),
    "no image": (task(data={"text": "x"}), "task '1': expected data with an image, the name of a file"),
    "no class": (task(region(labels=[])), r"task '1' \('a\.jpg'\), region 1: expected the class of a rectangle, got"),
    "a number": (task(region(labels=[3])), "expected the class of a rectangle"),
    "no size": (task({**region(), "original_width": None}), "expected original_width and original_height"),
    "a text": (task(region(**{**VALUE, "x": "1"})), r"region 1 \('dog'\): expected a number, got '1'"),
    "a flag": (task(region(**{**VALUE, "x": True})), "expected a number, got 'True'"),
    "rotation": (task(region(**VALUE, rotation=1e400)), "rotation: expected degrees, got inf"),
    "points": (task(region("polygonlabels", points=[[1, 2], [3, 4]])), r"expected three or more points \[x, y\]"),
    "a point": (task(region("polygonlabels", points=[[1, 2], [3, 4], 5])), r"expected three or more points \[x, y\]"),
    "no list": (task(annotations=[{"result": {"a": 1}}]), "result: expected a list of objects, got"),
    "annotations": (task(annotations=[1]), "annotations: expected a list of objects, got"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(tmp_path: Path, name: str) -> None:
    content, message = WRONG[name]
    image_file(tmp_path / "a.jpg")
    path = write(tmp_path / "t.json", task(region(), image="b.jpg", number=0), content)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_numbers_beyond_all_floats_are_counted(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    data = read(write(tmp_path / "t.json", task(region(), region(**{**VALUE, "x": 10**400}), region(**{**VALUE, "width": 0}))))
    assert data.report.totals() == {"not_finite": 1, "degenerate": 1}
