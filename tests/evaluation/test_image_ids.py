"""Results are joined to images by id, as number or text, or by file name; what cannot be joined is counted with examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detkit.data import SourceConfig, read_source
from detkit.evaluation.dataset_truth import dataset_ground_truth
from detkit.evaluation.files import evaluate_coco_files
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import check_results

BOX = [10, 10, 30, 20]


def truth(ids: list[Any], category: Any = 1, in_annotations: list[Any] | None = None) -> dict[str, Any]:
    files = ["a/one.jpg", "a/two.jpg", "b/one.png", "b/three.jpg"][: len(ids)]
    return {
        "images": [{"id": image_id, "file_name": name, "width": 100, "height": 80} for image_id, name in zip(ids, files, strict=True)],
        "annotations": [{"id": n, "image_id": i, "category_id": category, "bbox": BOX} for n, i in enumerate(in_annotations or ids, 1)],
        "categories": [{"id": category, "name": "cat"}],
    }


def results(ids: list[Any], category: Any = 1) -> list[dict[str, Any]]:
    return [{"image_id": image_id, "category_id": category, "bbox": BOX, "score": 0.9} for image_id in ids]


def joined(dataset: dict[str, Any], rows: list[dict[str, Any]]) -> list[int]:
    return [row["image_id"] for row in check_results(rows, GroundTruth.of(dataset))]


@pytest.mark.parametrize(
    ("ids", "named", "expected"),
    [
        ([7, 9], [9, 7], [9, 7]),
        ([7, 9], ["9", "7"], [9, 7]),
        ([7, 9], [9.0, 7], [9, 7]),
        (["7", "9"], [9, "7"], [9, 7]),
        (["x", "y"], ["y", "x"], [2, 1]),
        (["007", 7], [7, "007"], [2, 1]),
        ([7, 9, 3, 4], ["b/three.jpg", "two", "two.jpg", "a/one.jpg", "b/one", "three"], [4, 9, 9, 7, 3, 4]),
        ([7, 9], ["a\\one.jpg", "a/two"], [7, 9]),
    ],
)
def test_images_are_joined_by_id_and_by_file(ids: list[Any], named: list[Any], expected: list[int]) -> None:
    assert joined(truth(ids), results(named)) == expected


@pytest.mark.parametrize("ids", [["1", "2"], [1, 2], [1.0, 2.0], ["x", "y"]])
def test_annotations_are_joined_as_results_are(tmp_path: Path, ids: list[Any]) -> None:
    other = {"1": 1, "2": 2, 1: "1", 2: "2", "x": "x", "y": "y"}
    written = truth(ids, "1", [other[image_id] for image_id in ids])
    (tmp_path / "gt.json").write_text(json.dumps(written))
    (tmp_path / "dt.json").write_text(json.dumps(results(ids, 1)))
    assert GroundTruth.of(written).left_out == {}
    assert evaluate_coco_files(tmp_path / "gt.json", tmp_path / "dt.json").ap == pytest.approx(1.0)


def test_what_cannot_be_joined_is_counted_with_examples() -> None:
    rows = results(["one", 7, "gone.jpg", 99, "gone.jpg", "x", None])
    with pytest.raises(ValueError, match=r"results\[0\]\.image_id: .*got 'one'; do these results belong to ") as error:
        joined(truth([7, 9, 3]), rows)
    assert "5 of 7 rows name 4 images" in str(error.value)
    assert str(error.value).endswith("images that are not in it: 'one', 'gone.jpg', 99 and more")


def test_an_ambiguous_name_is_not_joined() -> None:
    with pytest.raises(ValueError, match="1 of 1 rows name 1 images that are not in it: 'one'"):
        joined(truth([7, 9, 3]), results(["one"]))


def test_data_with_text_ids_is_its_own_truth(tmp_path: Path) -> None:
    from PIL import Image

    written = truth(["1", "2"], 1, [1, 2])
    for row in written["images"]:
        (tmp_path / row["file_name"]).parent.mkdir(exist_ok=True)
        Image.new("RGB", (100, 80)).save(tmp_path / row["file_name"])
    (tmp_path / "gt.json").write_text(json.dumps(written))
    data = read_source(SourceConfig(path=str(tmp_path / "gt.json")))
    ground_truth = dataset_ground_truth(data, frozenset({0}))
    assert [row["image_id"] for row in ground_truth.annotations] == [1, 2]
