from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from detkit.ops.anchors import grid_points
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.ops.match_atss import match_atss, square_anchors
from detkit.structures import Targets

STRIDES = (8, 16, 32)


def square_levels(size: int = 128, offset: float = 0.5) -> list[Tensor]:
    points = [grid_points((size // stride, size // stride), (stride, stride), offset) for stride in STRIDES]
    return square_anchors(points, STRIDES)


def several_per_cell(size: int = 128) -> list[Tensor]:
    """Return anchors of three shapes per cell, which are not square."""
    levels = []
    for level in square_levels(size):
        center, half = (level[:, :2] + level[:, 2:]) / 2, (level[:, 2:] - level[:, :2]) / 2
        shapes = [torch.cat((center - half * scale, center + half * scale), 1) for scale in (torch.tensor([0.5, 1.0]), 0.7, 1.0)]
        levels.append(torch.stack(shapes, 1).reshape(-1, 4))
    return levels


def random_targets(count: int, seed: int, size: int = 128) -> Targets:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * size * 0.7
    sides = 4 + torch.rand(count, 2, generator=generator) ** 2 * size * 0.8
    return Targets.of(torch.cat((corners, corners + sides), 1), torch.zeros(count, dtype=torch.int64))


def algorithm_1(levels: list[Tensor], boxes: Tensor, k: int) -> list[int]:
    """Algorithm 1 of the paper, line by line; an anchor of several objects goes to the one with the highest IoU (section 3.3)."""
    anchors = [(level, box) for level, rows in enumerate(levels) for box in rows.tolist()]
    centers = [((x1 + x2) / 2, (y1 + y2) / 2) for _, (x1, y1, x2, y2) in anchors]
    positives: dict[int, tuple[float, int]] = {}
    for row, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        center = ((x1 + x2) / 2, (y1 + y2) / 2)
        candidates: list[int] = []
        for level in range(len(levels)):
            of_level = [number for number, (owner, _) in enumerate(anchors) if owner == level]
            candidates += sorted(of_level, key=lambda number: math.dist(centers[number], center))[:k]
        ious = box_iou(torch.tensor([anchors[number][1] for number in candidates]), boxes[row : row + 1])[:, 0].tolist()
        threshold = statistics.mean(ious) + statistics.stdev(ious)  # over n - 1, as torch.std in the authors' code
        for number, iou in zip(candidates, ious, strict=True):
            inside = x1 < centers[number][0] < x2 and y1 < centers[number][1] < y2
            if inside and iou >= threshold and (number not in positives or iou > positives[number][0]):
                positives[number] = (iou, row)
    return [positives[number][1] if number in positives else BACKGROUND for number in range(len(anchors))]


@pytest.mark.parametrize(("top_k", "several"), [(1, False), (9, False), (50, False), (9, True), (51, True)])
def test_equals_algorithm_1(top_k: int, several: bool) -> None:
    levels = several_per_cell() if several else square_levels()
    for seed in range(3):
        targets = random_targets(6, seed)
        assignment = match_atss(levels, targets, top_k=top_k)
        assert assignment.tolist() == algorithm_1(levels, targets.boxes, top_k)
        assert (assignment >= 0).any()


def test_square_anchors_have_a_side_of_eight_strides() -> None:
    levels = square_levels()
    assert [len(level) for level in levels] == [256, 64, 16]
    assert levels[1][0].tolist() == [8 - 64, 8 - 64, 8 + 64, 8 + 64]


def test_the_level_follows_the_size_of_the_object() -> None:
    levels, ends = square_levels(512), (4096, 4096 + 1024)
    boxes = torch.tensor([[100.0, 100.0, 160.0, 164.0], [100.0, 100.0, 230.0, 227.0], [100.0, 100.0, 350.0, 360.0]])
    for level, box in enumerate(boxes):
        rows = (match_atss(levels, Targets.of(box[None], torch.tensor([0]))) >= 0).nonzero().flatten()
        assert len(rows)
        assert all(sum(row >= end for end in ends) == level for row in rows.tolist())


def test_crowds_and_images_without_objects() -> None:
    levels, box = square_levels(), torch.tensor([[20.0, 20.0, 90.0, 95.0]])
    count = sum(map(len, levels))
    assert match_atss(levels, Targets.empty()).tolist() == [BACKGROUND] * count
    crowd = Targets.of(box, torch.tensor([0]), torch.tensor([True]))
    assignment = match_atss(levels, crowd)
    assert set(assignment.tolist()) == {BACKGROUND, IGNORE}
    both = Targets.of(torch.cat((box, box + 3)), torch.tensor([0, 0]), torch.tensor([True, False]))
    assert set(match_atss(levels, both).tolist()) == {BACKGROUND, IGNORE, 1}


def test_fewer_anchors_than_candidates_and_empty_boxes() -> None:
    level = [torch.tensor([[0.0, 0.0, 64.0, 64.0]])]
    assert match_atss(level, Targets.of(torch.tensor([[10.0, 10.0, 60.0, 50.0]]), torch.tensor([0]))).tolist() == [0]
    flat = Targets.of(torch.tensor([[20.0, 20.0, 20.0, 50.0]]), torch.tensor([0]))
    assert (match_atss(square_levels(), flat) == BACKGROUND).all()
