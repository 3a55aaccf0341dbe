"""Repeated boxes are those that comparing all pairs finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torchvision.ops import box_iou

from detkit.data import DetectionData, ImageRecord
from detkit.data.checks.pairs import SAME_OBJECT, repeated_boxes
from detkit.structures import Targets


def _random(generator: np.random.Generator, images: int) -> DetectionData:
    records = []
    for index in range(images):
        count = int(generator.integers(0, 40))
        corners = generator.uniform(0, 80, (count, 2))
        boxes = np.concatenate([corners, corners + generator.uniform(1, 60, (count, 2))], 1)
        copies = generator.integers(0, max(count, 1), count // 2)
        boxes = np.concatenate([boxes, boxes[copies] + generator.uniform(-0.4, 0.4, (len(copies), 4))])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 0.5)
        labels = torch.from_numpy(generator.integers(0, 2, len(boxes)))
        crowd = torch.from_numpy(generator.uniform(size=len(boxes)) < 0.1)
        targets = Targets.of(torch.from_numpy(boxes).float(), labels, crowd)
        records.append(ImageRecord(Path(f"{index}.jpg"), index, (100, 100), targets))
    return DetectionData.of("random", ["a", "b"], records)


def test_the_same_boxes_as_by_comparing_all_pairs() -> None:
    data = _random(np.random.default_rng(3), 60)
    records = data.records
    expected: tuple[set[int], set[int]] = (set(), set())
    for start, record in zip(records.offsets.tolist(), records, strict=False):
        targets = record.targets
        near = (box_iou(targets.boxes.double(), targets.boxes.double()) > SAME_OBJECT) & ~targets.is_crowd & ~targets.is_crowd[:, None]
        for later, earlier in near.tril(-1).nonzero().tolist():
            expected[int(targets.labels[later] != targets.labels[earlier])].add(start + later)
    found = repeated_boxes(records)
    assert len(expected[0]) > 50
    assert len(expected[1]) > 50
    for repeats, rows in zip(found, expected, strict=True):
        assert set(repeats.boxes.tolist()) == rows
        assert (records.image_index[repeats.boxes] == records.image_index[repeats.partners]).all()
        assert (repeats.ious > SAME_OBJECT).all()


def test_many_boxes_on_one_object() -> None:
    boxes = torch.tensor([[1.0, 1, 50, 50]]).expand(3000, 4)
    targets = Targets.of(boxes, torch.zeros(3000, dtype=torch.int64))
    same, conflict = repeated_boxes(DetectionData.of("same", ["a"], [ImageRecord(Path("a.jpg"), 1, (60, 60), targets)]).records)
    assert same.boxes.tolist() == list(range(1, 3000))
    assert not len(conflict.boxes)


def test_no_boxes_at_all() -> None:
    records = DetectionData.of("empty", ["a"], [ImageRecord(Path("a.jpg"), 1, (60, 60), Targets.empty())]).records
    assert [len(repeats.boxes) for repeats in repeated_boxes(records)] == [0, 0]
