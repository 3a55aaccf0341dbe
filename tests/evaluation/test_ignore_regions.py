"""Evaluation with regions to ignore: a crowd of every class in COCO's metrics, and in VOC's AP false alarms inside that do not count."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from detkit.data import DetectionData, ImageRecord, SourceConfig, read_source
from detkit.evaluation import Evaluator, evaluate_coco
from detkit.evaluation.analysis import analyze
from detkit.evaluation.voc import evaluate_voc
from detkit.structures import Detections, Targets

NAMES = ("cat", "dog", "fish")


def scene(seed: int, images: int = 12) -> tuple[DetectionData, dict[int, Detections]]:
    """Random objects, one or two regions per image, and detections of which many are inside regions."""
    generator = torch.Generator().manual_seed(seed)

    def boxes(count: int, side: float) -> torch.Tensor:
        corners = torch.rand(count, 2, generator=generator) * 100
        return torch.cat((corners, corners + 5 + torch.rand(count, 2, generator=generator) * side), 1)

    records, detections = [], {}
    for image in range(1, images + 1):
        objects = 0 if image % 5 == 0 else int(torch.randint(1, 6, (), generator=generator))
        targets = Targets.of(boxes(objects, 40), torch.randint(0, 3, (objects,), generator=generator))
        regions = boxes(int(torch.randint(0 if objects else 1, 3, (), generator=generator)), 80)
        rows = Targets.cat([region_rows(regions), targets])
        records.append(ImageRecord(Path(f"{image}.jpg"), image, (200, 200), rows))
        near = torch.cat((targets.boxes, targets.boxes[:1], regions[:, :2].repeat(1, 2) + torch.tensor([2.0, 2.0, 20.0, 20.0])))
        near = near + torch.rand(near.shape, generator=generator) * 4
        found = torch.cat((near, boxes(6, 30)))
        labels = torch.cat((targets.labels, torch.randint(0, 3, (len(found) - objects,), generator=generator)))
        detections[image] = Detections(found, torch.rand(len(found), generator=generator), labels)
    return DetectionData.of("scene", NAMES, records), detections


def region_rows(boxes: torch.Tensor) -> Targets:
    flags = torch.ones(len(boxes), dtype=torch.bool)
    return Targets.filled(boxes, labels=torch.zeros(len(boxes), dtype=torch.int64), is_crowd=flags, is_ignore=flags)


def evaluated(data: DetectionData, detections: dict[int, Detections]) -> Evaluator:
    evaluator = Evaluator(data, NAMES)
    for image, rows in detections.items():
        evaluator.add(image, rows)
    return evaluator


def explicit(data: DetectionData) -> dict[str, Any]:
    """The data as a COCO dict with a crowd of every class for each region."""
    annotations = []
    for record in data.records:
        rows = zip(record.targets.boxes.double().tolist(), record.targets.labels.tolist(), record.targets.is_ignore.tolist(), strict=True)
        for (x1, y1, x2, y2), label, ignored in rows:
            for category in range(1, 4) if ignored else (label + 1,):
                box = [x1, y1, x2 - x1, y2 - y1]
                row = {"image_id": record.image_id, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": int(ignored)}
                annotations.append({"id": len(annotations) + 1, **row})
    images = [{"id": image_id} for image_id in data.records.image_ids]
    return {"images": images, "annotations": annotations, "categories": [{"id": n + 1, "name": name} for n, name in enumerate(NAMES)]}


@pytest.mark.parametrize("evaluator", ["hotcoco", "pycocotools"])
@pytest.mark.parametrize("seed", [0, 1])
def test_coco_metrics_are_those_of_explicit_crowds_of_every_class(seed: int, evaluator: Any) -> None:
    data, detections = scene(seed)
    collected = evaluated(data, detections)
    numbers = collected.numbers(evaluator)
    reference = evaluate_coco(explicit(data), list(collected.results()), "pycocotools")
    assert numbers.values == pytest.approx(dict(reference.values), nan_ok=True)
    regions, objects = int(data.records.is_ignore.sum()), int((~data.records.is_ignore).sum())
    assert (numbers.counts.boxes, numbers.counts.ignored) == (objects, regions)
    assert [row.boxes for row in numbers.classes] == data.records.class_counts(3).tolist()
    without = data.records.where(~data.records.is_ignore)
    plain = evaluated(DetectionData.of("scene", NAMES, without), detections).numbers()
    assert plain.ap < numbers.ap


OBJECT, OUTSIDE, INSIDE = [0.0, 0.0, 20.0, 20.0], [60.0, 60.0, 70.0, 70.0], [110.0, 10.0, 140.0, 40.0]
HALF, LESS = [90.0, 0.0, 110.0, 20.0], [88.0, 0.0, 108.0, 20.0]
"""Half of it in the region, and 0.4 of it."""
REGION = [100.0, 0.0, 200.0, 200.0]


def one_image(*boxes: list[float], objects: bool = True) -> Evaluator:
    """An image with an object and a region; the detections have falling scores, and the last one is the object."""
    targets = Targets.cat([region_rows(torch.tensor([REGION])), Targets.of(torch.tensor([OBJECT]), torch.tensor([1]))])
    data = DetectionData.of("one", NAMES, [ImageRecord(Path("1.jpg"), 1, (200, 200), targets[: 1 + objects])])
    found = torch.tensor([*boxes, OBJECT])
    return evaluated(data, {1: Detections(found, torch.linspace(0.9, 0.5, len(found)), torch.ones(len(found)).long())})


@pytest.mark.parametrize(("box", "ap"), [(INSIDE, 1.0), (HALF, 1.0), (LESS, 0.5), (OUTSIDE, 0.5)])
def test_false_alarms_mostly_inside_a_region_do_not_count(box: list[float], ap: float) -> None:
    evaluator = one_image(box)
    assert evaluator.voc_numbers().ap == pytest.approx(ap)
    assert evaluator.numbers()["AP50"] == pytest.approx(ap, abs=0.01)
    assert evaluator.voc_numbers().counts.ignored == evaluator.numbers().counts.ignored == 1
    wrong = 0 if ap == 1 else 1
    details = evaluator.details()
    assert sum(count for name, (count, _) in details.errors.items() if name != "missed") == wrong
    assert sum(row.wrong for row in details.worst) == wrong
    points = evaluator.operating_points()
    assert points is not None
    assert points.classes["dog"].precision == pytest.approx(1 / (1 + wrong))


def test_an_object_inside_a_region_is_still_found() -> None:
    targets = Targets.cat([region_rows(torch.tensor([[0.0, 0.0, 200.0, 200.0]])), Targets.of(torch.tensor([OBJECT]), torch.tensor([1]))])
    data = DetectionData.of("one", NAMES, [ImageRecord(Path("1.jpg"), 1, (200, 200), targets)])
    found = Detections(torch.tensor([OBJECT, OBJECT, OUTSIDE]), torch.tensor([0.9, 0.8, 0.7]), torch.tensor([1, 1, 1]))
    evaluator = evaluated(data, {1: found})
    assert evaluator.voc_numbers().ap == 1.0
    assert evaluator.numbers().ap == pytest.approx(1.0)


def test_only_regions_give_nan_and_no_errors() -> None:
    evaluator = one_image(INSIDE, objects=False)
    assert math.isnan(evaluator.numbers().ap)
    assert math.isnan(evaluator.voc_numbers().ap)
    assert evaluator.operating_points() is None
    found = analyze(evaluator.ground_truth, evaluator.table(), resamples=10)
    assert found.to_dict()


def test_numbers_of_a_coco_file_are_those_of_its_records(tmp_path: Path) -> None:
    """Classes called ignore, crowds and difficult objects, read from a file, whose own boxes are used, and from the records."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((200, 200, 3), np.uint8))
    boxes = [[0, 0, 20, 20], [110, 10, 30, 30], [0, 100, 200, 100], [60, 60, 8, 8], [90, 0, 20, 20]]
    rows = zip((1, 2, 3, 2, 1), boxes, ({}, {"difficult": 1}, {}, {}, {"iscrowd": 1}), strict=True)
    annotations = [{"id": n, "image_id": 1, "category_id": c, "bbox": box, **flags} for n, (c, box, flags) in enumerate(rows, 1)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "IGNORE"}]
    images = [{"id": 1, "file_name": "a.png", "width": 200, "height": 200}]
    (tmp_path / "labels.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    source = SourceConfig(path=str(tmp_path / "labels.json"))
    truths = {}
    for difficult in ("ignore", "object"):
        data = read_source(source.replace(difficult=difficult))
        assert data.coco_file is not None
        from_file, from_records = (Evaluator(part, NAMES).ground_truth.annotations for part in (data, _without_file(data)))
        keys = ("image_id", "category_id", "bbox", "iscrowd", "difficult")
        truths[difficult] = [[row[key] for key in keys] for row in from_file]
        assert truths[difficult] == [[row[key] for key in keys] for row in from_records]
    flags = {name: [(row[1], row[3]) for row in rows] for name, rows in truths.items()}
    assert flags["ignore"] == [(1, 0), (2, 1), (2, 0), (1, 1), (1, 1), (2, 1)]
    assert flags["object"] == [(1, 0), (2, 0), (2, 0), (1, 1), (1, 1), (2, 1)]


def _without_file(data: DetectionData) -> DetectionData:
    return DetectionData.of(data.name, data.class_names, data.records, data.category_ids)


def test_difficult_objects_count_in_neither_metric_when_they_are_ignored() -> None:
    """VOC's AP is the same either way."""
    values = {}
    for ignored in (False, True):
        flags = torch.tensor([False, True])
        targets = Targets.of(torch.tensor([OBJECT, INSIDE]), torch.tensor([1, 1]), is_crowd=flags & ignored, is_difficult=flags)
        data = DetectionData.of("one", NAMES, [ImageRecord(Path("1.jpg"), 1, (200, 200), targets)])
        evaluator = evaluated(data, {1: Detections(torch.tensor([OBJECT]), torch.tensor([0.9]), torch.tensor([1]))})
        values[ignored] = evaluator.voc_numbers().ap, round(evaluator.numbers()["AR100"], 3)
    assert values == {False: (1.0, 0.5), True: (1.0, 1.0)}


def test_a_dict_without_regions_is_as_before() -> None:
    truth = explicit(scene(0)[0])
    assert evaluate_voc(truth, []).counts.ignored == sum(row["iscrowd"] for row in truth["annotations"])
