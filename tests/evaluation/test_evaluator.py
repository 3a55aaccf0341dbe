from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import detkit
from detkit.data import ClassMapping, SourceConfig, read_source
from detkit.data.records import DetectionData, ImageRecord
from detkit.evaluation import evaluate_coco, evaluate_coco_files, evaluate_voc
from detkit.evaluation.dataset_truth import image_numbers
from detkit.evaluation.evaluator import LEFT_OUT, Evaluator
from detkit.evaluation.synthetic import synthetic_coco
from detkit.structures import Detections, Targets

MODEL = ("bird", None, "cat", "dog", "zebra")


def detections(rows: list[dict[str, Any]], labels: dict[int, int]) -> Detections:
    boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    label_column = torch.tensor([labels[row["category_id"]] for row in rows], dtype=torch.int64)
    return Detections(
        torch.tensor(boxes, dtype=torch.float32), torch.tensor([row["score"] for row in rows], dtype=torch.float32), label_column
    )


def evaluator_with(
    data: DetectionData, results: list[dict[str, Any]], names: tuple[str | None, ...], labels: dict[int, int], **options: Any
) -> Evaluator:
    evaluator = Evaluator(data, names, **options)
    for record in data.records:
        evaluator.add(record, detections([row for row in results if row["image_id"] == record.image_id], labels))
    return evaluator


def test_metrics_and_counts_from_records(write_images: Any, truth: Any, results: Any) -> None:
    data = read_source(SourceConfig(path=str(write_images(truth))))
    labels = {7: 0, 3: 2, 1: 3, 100: 4}
    zebra = {"image_id": 10, "category_id": 100, "bbox": [0, 0, 5, 5], "score": 1.0}
    evaluator = evaluator_with(data, [*results, zebra], MODEL, labels)
    numbers = evaluator.numbers()
    assert numbers["AP"] == pytest.approx(0.5)
    assert [(row.name, row.category_id, row.boxes) for row in numbers.classes] == [("dog", 1, 1), ("cat", 3, 1), ("bird", 7, 0)]
    assert (numbers.counts.images, numbers.counts.boxes, numbers.counts.ignored, numbers.counts.detections) == (2, 2, 1, 3)
    assert evaluator.left_out == {"zebra": 1}
    assert numbers.counts.left_out == {LEFT_OUT: 1}
    assert evaluator.voc_numbers().counts.left_out == {LEFT_OUT: 1}


def scattered(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Boxes with two decimals, some reaching outside their images, and detections in float32 as from a model."""
    truth, results = synthetic_coco(30, 1500, classes=3, seed=seed)
    for row in truth["annotations"][::5]:
        row["bbox"] = [round(row["bbox"][0] - 40.13, 2), *row["bbox"][1:]]
        row["area"] = round(row["area"] * 0.77, 2)
    for row in results:
        x, y, w, h = row["bbox"]
        x1, y1, x2, y2 = (float(np.float32(value)) for value in (x, y, x + w, y + h))
        row["bbox"], row["score"] = [x1, y1, x2 - x1, y2 - y1], float(np.float32(row["score"]))
    return truth, results


@pytest.mark.parametrize("name", ["hotcoco", "pycocotools"])
def test_coco_data_gives_the_metrics_of_its_file(write_images: Any, tmp_path: Path, name: Any) -> None:
    """Records hold float32 boxes clipped to their images; the metrics are those of the boxes in the file."""
    truth, results = scattered(seed=1)
    path = write_images(truth)
    for row, width in zip(truth["images"], [str, float, lambda _: 0] * 10, strict=True):
        row["width"] = width(row["width"])
    path.write_text(json.dumps(truth))
    data = read_source(SourceConfig(path=str(path)))
    evaluator = evaluator_with(data, results, ("class 3", "class 1", "class 2"), {1: 1, 2: 2, 3: 0})
    expected = evaluate_coco(truth, results, name)
    numbers = evaluator.numbers(name)
    assert dict(numbers.values) == dict(expected.values)
    assert repr(numbers.classes) == repr(expected.classes)
    evaluator.write_results(tmp_path / "dt.json")
    assert dict(evaluate_coco_files(path, tmp_path / "dt.json", name).values) == dict(expected.values)
    in_order = sorted(results, key=lambda row: row["image_id"])  # VOC processes equal scores in the order given
    assert evaluator.voc_numbers().values == evaluate_voc(truth, in_order).values


@pytest.mark.parametrize(
    ("key", "spelling"),
    [
        ("category_id", str),
        ("category_id", float),
        ("iscrowd", str),
        ("iscrowd", lambda crowd: ["false", "True"][crowd]),
        ("difficult", lambda _: "0"),
        ("area", str),
        ("area", lambda _: -1),
        ("area", lambda _: float("nan")),
        ("bbox", lambda box: [str(side) for side in box]),
    ],
)
def test_alternative_spellings_of_values_are_accepted(write_images: Any, truth: Any, results: Any, key: str, spelling: Any) -> None:
    """By the reader, by the evaluator of its data, and by the evaluation of a file."""
    expected = evaluate_coco(truth, results)
    for row in truth["annotations"]:
        row[key] = spelling(row.get(key))
    data = read_source(SourceConfig(path=str(write_images(truth))))
    assert (len(data.records.boxes), data.records.is_crowd.sum(), data.records.is_difficult.sum()) == (3, 1, 0)
    assert data.records.areas.tolist() == [1600, 400, 6300]
    numbers = evaluator_with(data, results, data.class_names, {1: 0, 3: 1, 7: 2}).numbers()
    assert repr(numbers) == repr(evaluate_coco(truth, results)) == repr(expected)


def test_boxes_of_the_records_give_different_metrics(write_images: Any) -> None:
    """Otherwise ``test_coco_data_gives_the_metrics_of_its_file`` could not fail."""
    from dataclasses import replace

    truth, results = scattered(seed=1)
    data = read_source(SourceConfig(path=str(write_images(truth))))
    from_records = evaluator_with(replace(data, coco_file=None), results, data.class_names, {1: 0, 2: 1, 3: 2}).numbers()
    assert dict(from_records.values) != dict(evaluate_coco(truth, results).values)


def test_subset_of_a_coco_file(write_images: Any) -> None:
    truth, results = scattered(seed=2)
    data = read_source(SourceConfig(path=str(write_images(truth)))).take([3, 1, 8, 20])
    ids = {data.records.image_ids[index] for index in range(4)}
    subset = {
        **truth,
        "images": [row for row in truth["images"] if row["id"] in ids],
        "annotations": [row for row in truth["annotations"] if row["image_id"] in ids],
    }
    results = [row for row in results if row["image_id"] in ids]
    numbers = evaluator_with(data, results, data.class_names, {1: 0, 2: 1, 3: 2}).numbers()
    assert repr(numbers.values) == repr(dict(evaluate_coco(subset, results).values))


def test_data_mapped_before_gives_the_same_metrics(write_images: Any) -> None:
    """Training maps its validation data to the model's classes first; this can merge classes."""
    truth, results = scattered(seed=3)
    data = read_source(SourceConfig(path=str(write_images(truth))))
    renames = {"class 1": "thing", "class 3": "thing"}
    names = ("class 2", "other", "thing")
    mapped = ClassMapping.subset(data.class_names, names, renames).apply(data)
    labels = {1: 2, 2: 0, 3: 2}
    first, second = (
        evaluator_with(mapped, results, names, labels).numbers(),
        evaluator_with(data, results, names, labels, renames=renames).numbers(),
    )
    assert repr(first) == repr(second)
    assert [row.name for row in first.classes] == ["thing", "class 2"]
    merged = {1: 1, 2: 2, 3: 1}
    for row in [*truth["annotations"], *results]:
        row["category_id"] = merged[row["category_id"]]
    truth["categories"] = [{"id": 1, "name": "thing"}, {"id": 2, "name": "class 2"}]
    assert repr(first.values) == repr(dict(evaluate_coco(truth, results).values))


def test_images_labeled_without_exif_rotation_are_evaluated_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "1.jpg", exif=exif)
    truth = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 40, "height": 20}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 20]}],
    }
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    data = read_source(SourceConfig(path=str(tmp_path / "gt.json")))
    evaluator = Evaluator(data, ("a",))
    evaluator.add(1, Detections(torch.tensor([[0.0, 0, 20, 10]]), torch.tensor([0.5]), torch.tensor([0])))
    assert evaluator.numbers()["AP"] == pytest.approx(1.0)


def named_data() -> DetectionData:
    """Data as from a VOC folder: ids are names, some boxes are difficult."""
    boxes = torch.tensor([[10.0, 10, 50, 50], [60, 10, 80, 30]])
    no = torch.tensor([False, False])
    targets = Targets.of(boxes, torch.tensor([0, 1]), no, torch.tensor([False, True]))
    records = [ImageRecord(Path("images") / f"{name}.jpg", name, (80, 100), targets) for name in ("b", "a")]
    return DetectionData.of("named", ("cat", "dog"), records)


def test_string_ids_become_numbers_in_the_results(tmp_path: Path) -> None:
    data = named_data()
    evaluator = Evaluator(data, ("dog", "cat"))
    evaluator.add("b", Detections(torch.tensor([[10.0, 10, 50, 50]]), torch.tensor([0.5]), torch.tensor([1])))
    evaluator.add("a", Detections.empty())
    assert list(evaluator.results()) == [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "score": 0.5, "file_name": "b.jpg"}]
    assert evaluator.numbers()["AP50"] == pytest.approx(51 / 101 / 2)  # one of two cats, no dog
    assert evaluator.voc_numbers("all-point").values == (0.5,)  # all dogs are difficult


@pytest.mark.parametrize("names", [(9, 25, 30), (0, 1, 2), (30, 0, 7), ("c", "a", "b")])
def test_read_results_maps_ids_to_images(tmp_path: Path, names: tuple[Any, ...]) -> None:
    truth = Targets.of(torch.tensor([[10.0, 10, 50, 50]]), torch.tensor([0]))
    records = [ImageRecord(Path(f"{name}.jpg"), name, (80, 100), truth) for name in names]
    evaluator = Evaluator(DetectionData.of("pets", ("cat",), records), ("cat",))
    for index, name in enumerate(names):
        corners = torch.tensor([[10.0, 10, 50, 50 - index], [60.0, 10, 80, 30]])
        evaluator.add(name, Detections(corners, torch.tensor([0.9 - index / 10, 0.2]), torch.tensor([0, 0])))
    evaluator.write_results(tmp_path / "dt.json")
    table = evaluator.read_results(tmp_path / "dt.json")
    assert np.array_equal(table[np.argsort(table[:, 0], kind="stable")], evaluator.table())
    # Images without rows in the file have no detections.
    rows = list(evaluator.results())
    (tmp_path / "dt.json").write_text(json.dumps(rows[2:]))
    images = set(evaluator.read_results(tmp_path / "dt.json")[:, 0].astype(int).tolist())
    assert images == {1, 2, 3} - {image_numbers(evaluator.data)[names[0]]}
    rows[0]["image_id"] = 99
    (tmp_path / "dt.json").write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=r"dt.json\[0\].image_id: expected one of the ground truth: .* got 99"):
        evaluator.read_results(tmp_path / "dt.json")


def test_adding_again_replaces_and_clear_removes() -> None:
    evaluator = Evaluator(named_data(), ("cat", "dog"))
    detection = Detections(torch.tensor([[10.0, 10, 50, 50]]), torch.tensor([0.5]), torch.tensor([0]))
    for name in ("a", "b", "a"):
        evaluator.add(name, detection)
    assert evaluator.numbers().counts.detections == 2
    evaluator.clear()
    with pytest.raises(ValueError, match="2 of 2 images have no detections added"):
        list(evaluator.results())
    with pytest.raises(ValueError, match="2 of 2 images have no detections added"):
        evaluator.numbers()
    assert evaluator.gather()


PROCESS = """
import json, sys, torch
from pathlib import Path
from detkit.data.records import DetectionData, ImageRecord
from detkit.evaluation.evaluator import Evaluator
from detkit.structures import Detections, Targets

rank, folder = int(sys.argv[1]), Path(sys.argv[2])
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
targets = Targets.of(torch.tensor([[10.0, 10, 50, 50]]), torch.tensor([0]))
data = DetectionData.of("named", ("cat",), [ImageRecord(Path(name), name, (80, 100), targets) for name in "ab"])
evaluator = Evaluator(data, ("cat", "cow"))
detections = Detections(torch.tensor([[0.0, 0, 9, 9], [10.0, 10, 50, 50]]), torch.tensor([0.9, 0.5]), torch.tensor([1, 0]))
for name in "b" if rank else "ab":  # both have b, as with a padded sampler
    evaluator.add(name, detections)
if evaluator.gather():
    numbers = evaluator.numbers()
    (folder / "numbers.json").write_text(json.dumps([rank, numbers["AP"], numbers.counts.detections, evaluator.left_out]))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_first_process_gathers_all_detections(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(detkit.__file__).parents[1])}
    processes = [subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(tmp_path)], env=environment) for rank in range(2)]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    rank, ap, detection_count, left_out = json.loads((tmp_path / "numbers.json").read_text())
    assert (rank, detection_count, left_out) == (0, 2, {"cow": 2})
    assert ap == pytest.approx(1.0)
