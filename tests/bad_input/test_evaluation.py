"""Error messages for invalid inputs of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.data.records import DetectionData, ImageRecord
from detkit.evaluation import evaluate_coco, evaluate_coco_files, evaluate_voc
from detkit.evaluation.evaluator import Evaluator
from detkit.structures import Detections, Targets

TRUTH: dict[str, Any] = {
    "images": [{"id": 10}, {"id": 20}],
    "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
    "annotations": [{"id": 1, "image_id": 10, "category_id": 3, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0}],
}
RESULT: dict[str, Any] = {"image_id": 10, "category_id": 3, "bbox": [10, 10, 40, 40], "score": 0.9}


def without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


def from_memory(results: Any) -> None:
    evaluate_coco(TRUTH, results)


def in_files(folder: Path, results: Any, truth: Any = TRUTH, evaluator: Any = "hotcoco") -> None:
    for name, content in (("gt.json", truth), ("dt.json", results)):
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    evaluate_coco_files(folder / "gt.json", folder / "dt.json", evaluator)


RESULTS = {
    "unknown image": (
        {"image_id": 11},
        r"\[1\]\.image_id: expected one of the ground truth: 10, 20; got 11; do these results belong to .*\?",
    ),
    "unknown category": (
        {"category_id": 2},
        r"\[1\]\.category_id: expected one of the ground truth: 1 \(dog\), 3 \(cat\); got 2; results must contain the category ids",
    ),
    "id as text": (
        {"image_id": "ten"},
        r"\[1\]\.image_id: expected one of the ground truth: 10.*; got 'ten'; .* 1 of 2 rows",
    ),
    "id as list": ({"image_id": [10]}, r"\[1\]\.image_id: expected an integer, got \[10\]"),
    "id as bool": ({"category_id": True}, r"\[1\]\.category_id: expected an integer, got True"),
    "score NaN": ({"score": float("nan")}, r"\[1\]\.score: expected a finite number, got nan; detections are ranked by it"),
    "score null": ({"score": None}, r"\[1\]\.score: expected a finite number, got None"),
    "score beyond all floats": ({"score": 10**400}, r"\[1\]\.score: expected a finite number, got 1000"),
    "score as text": ({"score": "high"}, r"\[1\]\.score: expected a finite number, got 'high'"),
    "box infinite": (
        {"bbox": [0, 0, float("inf"), 1]},
        r"\[1\]\.bbox: expected four finite numbers x, y, width, height, got \[0, 0, inf, 1\]",
    ),
    "box of three": ({"bbox": [0, 0, 1]}, r"\[1\]\.bbox: expected four finite numbers x, y, width, height, got \[0, 0, 1\]"),
    "width below 0": ({"bbox": [50, 50, -40, 1]}, r"\[1\]\.bbox: .*no negative side, got \[50, 50, -40, 1\]; are these corners\?"),
}


@pytest.mark.parametrize(("change", "message"), RESULTS.values(), ids=RESULTS.keys())
@pytest.mark.parametrize("evaluator", ["hotcoco", "pycocotools"])
def test_invalid_row_of_results(tmp_path: Path, change: Any, message: str, evaluator: Any) -> None:
    rows = [RESULT, {**RESULT, **change}]
    with pytest.raises(ValueError, match="^results" + message):
        evaluate_coco(TRUTH, rows, evaluator)
    with pytest.raises(ValueError, match="^" + str(tmp_path / "dt.json") + message):
        in_files(tmp_path, rows, evaluator=evaluator)
    with pytest.raises(ValueError, match="^results" + message):
        evaluate_voc(TRUTH, rows)


@pytest.mark.parametrize("key", ["image_id", "category_id", "bbox", "score"])
def test_row_of_results_without_a_key(tmp_path: Path, key: str) -> None:
    rows = [RESULT, without(RESULT, key)]
    for evaluate in (from_memory, lambda rows: in_files(tmp_path, rows)):
        with pytest.raises(ValueError, match=rf"\[1\]: has no '{key}'; a detection has image_id, category_id, bbox, score"):
            evaluate(rows)


def test_results_that_are_not_a_list(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dt.json: expected a list of rows .* got dict; give the results .* not the ground truth"):
        in_files(tmp_path, TRUTH)
    with pytest.raises(ValueError, match=r"dt.json\[0\]: expected an object with image_id, .* got 1"):
        in_files(tmp_path, [1, 2])


@pytest.mark.parametrize(
    ("text", "message"), [("", "the file is empty, expected JSON"), ('[{"image_id": 10', "expected JSON, got .*; is the file complete?")]
)
def test_files_that_are_not_json(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"results {tmp_path}/dt.json: {message}"):
        in_files(tmp_path, text)
    with pytest.raises(ValueError, match=f"annotations {tmp_path}/gt.json: {message}"):
        in_files(tmp_path, [], truth=text)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"annotations .*/none.json: no such file"):
        evaluate_coco_files(tmp_path / "none.json", tmp_path / "dt.json")
    (tmp_path / "gt.json").write_text(json.dumps(TRUTH))
    with pytest.raises(FileNotFoundError, match=r"results .*: expected a JSON file, got a folder"):
        evaluate_coco_files(tmp_path / "gt.json", tmp_path)


FIRST = TRUTH["annotations"][0]
TRUTHS = {
    "a list": ([], "expected a COCO object with images, annotations and categories, got a list"),
    "no annotations": (without(TRUTH, "annotations"), "has no 'annotations', .*COCO's test files have no labels"),
    "no images": ({**TRUTH, "images": []}, "'images' is empty; there is nothing to evaluate"),
    "no categories": (without(TRUTH, "categories"), "has no 'categories'"),
    "image twice": ({**TRUTH, "images": [{"id": 10}, {"id": 10}]}, "images: id 10 occurs 2 times; ids must be unique"),
    "image id as list": (
        {**TRUTH, "images": [{"id": [1]}]},
        r"images\[0\].id: expected a text or an integer of at least 0 \(64 bits\), got",
    ),
    "image id beyond 64 bits": (
        {**TRUTH, "images": [{"id": 2**64}]},
        r"images\[0\].id: expected a text or an integer of at least 0 \(64 bits\), got 18446744073709551616",
    ),
    "category id as bool": (
        {**TRUTH, "categories": [{"id": True}]},
        r"categories\[0\].id: expected an integer of at least 0 \(64 bits\), got True",
    ),
    "category without name": ({**TRUTH, "categories": [{"id": 3}]}, r"categories\[0\].name: expected a string, got None"),
    "annotation without box": ({**TRUTH, "annotations": [without(FIRST, "bbox")]}, r"annotations\[0\]: has no 'bbox'"),
    "annotation box NaN": (
        {**TRUTH, "annotations": [{**FIRST, "bbox": [0, 0, float("nan"), 1]}]},
        r"annotations\[0\].bbox: expected four finite numbers x, y, width, height, got \[0, 0, nan, 1\]",
    ),
    "annotation area": (
        {**TRUTH, "annotations": [{**FIRST, "area": "big"}]},
        r"annotations\[0\].area: expected a number, got 'big'",
    ),
    "annotation class": (
        {**TRUTH, "annotations": [{**FIRST, "category_id": 3.6}]},
        r"annotations\[0\].category_id: expected a whole number \(64 bits\), got 3.6",
    ),
    "annotation crowd": (
        {**TRUTH, "annotations": [{**FIRST, "iscrowd": "some"}]},
        r"annotations\[0\].iscrowd: expected 0 or 1, got 'some'",
    ),
    "annotation of no image": ({**TRUTH, "annotations": [{**FIRST, "image_id": []}]}, r"annotations\[0\].image_id: expected the id of"),
    "images no list": ({**TRUTH, "images": {}}, "images: expected a list, got an object"),
}


@pytest.mark.parametrize(("truth", "message"), TRUTHS.values(), ids=TRUTHS.keys())
def test_invalid_ground_truth(tmp_path: Path, truth: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^ground truth: {message}"):
        evaluate_coco(truth, [])
    with pytest.raises(ValueError, match=f"^{tmp_path}/gt.json: {message}"):
        in_files(tmp_path, [], truth)


def test_unknown_evaluator_rule_and_invalid_threshold() -> None:
    with pytest.raises(ValueError, match="unknown evaluator 'coco': expected hotcoco or pycocotools"):
        evaluate_coco(TRUTH, [], "coco")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown rule 'area': expected 11-point or all-point"):
        evaluate_voc(TRUTH, [], "area")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"iou_thresholds: expected one or more numbers above 0 and at most 1, got \(50,\)"):
        evaluate_voc(TRUTH, [], iou_thresholds=(50,))


@pytest.fixture
def data() -> DetectionData:
    records = [
        ImageRecord(Path(f"{name}.jpg"), name, (10, 10), Targets.of(torch.tensor([[0.0, 0, 5, 5]]), torch.tensor([0]))) for name in "ab"
    ]
    return DetectionData.of("pets", ("cat", "tvmonitor"), records)


def detection(label: int = 0, score: float = 0.5) -> Detections:
    return Detections(torch.tensor([[0.0, 0, 5, 5]]), torch.tensor([score]), torch.tensor([label]))


def test_class_that_the_model_does_not_have(data: DetectionData) -> None:
    with pytest.raises(
        ValueError, match=r"the data has 2 \[cat, tvmonitor\]; expected 3 \[cat, dog, tv\]; only in the data: 1 \[tvmonitor\]; rename"
    ):
        Evaluator(data, ("cat", "dog", "tv"))


def test_image_that_the_data_does_not_have(data: DetectionData) -> None:
    with pytest.raises(ValueError, match="pets: no image has the id 'c'"):
        Evaluator(data, data.class_names).add("c", detection())


def test_images_without_detections_added(data: DetectionData) -> None:
    evaluator = Evaluator(data, data.class_names)
    evaluator.add("a", detection())
    with pytest.raises(ValueError, match="pets: 1 of 2 images have no detections added, such as 'b'"):
        evaluator.numbers()


def test_detections_that_are_not_finite(data: DetectionData) -> None:
    with pytest.raises(ValueError, match="pets: image 'a': a box or score of a detection is not finite; are the weights damaged"):
        Evaluator(data, data.class_names).add("a", detection(score=float("nan")))
