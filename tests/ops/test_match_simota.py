from __future__ import annotations

import pytest
import torch
from torch import Tensor

from detkit.ops.anchors import grid_points
from detkit.ops.boxes import box_iou
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.ops.match_simota import cheapest, class_cost, dynamic_k_assignment, match_simota
from detkit.structures import Targets

POINTS = torch.cat([grid_points((64 // stride, 64 // stride), (stride, stride), 0.5) for stride in (8, 16, 32)])
RADIUS = 1.5 * torch.cat([torch.full(((64 // stride) ** 2,), float(stride)) for stride in (8, 16, 32)])


def predictions(seed: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sides = 8 + 24 * torch.rand(len(POINTS), 2, generator=generator)
    return torch.cat((POINTS - sides / 2, POINTS + sides / 2), 1), torch.rand(len(POINTS), classes, generator=generator)


def objects(seed: int, count: int) -> Targets:
    generator = torch.Generator().manual_seed(seed)
    corner = 40 * torch.rand(count, 2, generator=generator)
    sides = 6 + 16 * torch.rand(count, 2, generator=generator)
    return Targets.of(torch.cat((corner, corner + sides), 1), torch.randint(0, 4, (count,), generator=generator))


def reference_assignment(boxes: Tensor, scores: Tensor, targets: Targets, center_inside_box: bool) -> list[int]:
    """The rule in plain loops over targets and points."""
    near, candidates = {}, set()
    for row, box in enumerate(targets.boxes.tolist()):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        for index, ((px, py), radius) in enumerate(zip(POINTS.tolist(), RADIUS.tolist(), strict=True)):
            central = abs(px - x) < radius and abs(py - y) < radius
            within = box[0] < px < box[2] and box[1] < py < box[3]
            near[row, index] = central and (within or not center_inside_box)
            if central or (center_inside_box and within):
                candidates.add(index)
    columns = sorted(candidates)
    ious = box_iou(targets.boxes, boxes[columns])
    cost = torch.zeros(len(targets), len(columns))
    for row, label in enumerate(targets.labels.tolist()):
        for column, index in enumerate(columns):
            one_hot = torch.zeros(scores.shape[1])
            one_hot[label] = 1
            cost[row, column] = torch.nn.functional.binary_cross_entropy(scores[index], one_hot, reduction="sum")
            cost[row, column] -= 3 * torch.log(ious[row, column] + 1e-8)
            cost[row, column] += 0 if near[row, index] else 1e6
    rows_of_column: dict[int, list[int]] = {}
    for row in range(len(targets)):
        count = max(1, int(ious[row].sort(descending=True).values[:10].sum()))
        for column in cost[row].sort().indices[:count].tolist():
            rows_of_column.setdefault(column, []).append(row)
    assignment = [BACKGROUND] * len(boxes)
    for column, rows in rows_of_column.items():
        assignment[columns[column]] = rows[0] if len(rows) == 1 else int(cost[:, column].argmin())
    return assignment


@pytest.mark.parametrize("center_inside_box", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_equals_the_reference(seed: int, center_inside_box: bool) -> None:
    boxes, scores = predictions(seed)
    targets = objects(seed + 100, 1 + 2 * seed)
    assignment = match_simota(POINTS, RADIUS, boxes, scores, targets, center_inside_box=center_inside_box)
    assert assignment.tolist() == reference_assignment(boxes, scores, targets, center_inside_box)
    assert (assignment >= 0).sum() >= 1


def test_class_cost_is_the_cross_entropy_also_of_saturated_scores() -> None:
    scores = torch.tensor([[0.2, 0.7, 0.0], [1.0, 0.0, 0.5]])
    labels = torch.tensor([1, 0, 2])
    one_hot = torch.nn.functional.one_hot(labels, 3).float()[:, None].expand(3, 2, 3)
    expected = torch.nn.functional.binary_cross_entropy(scores.expand(3, 2, 3), one_hot, reduction="none").sum(-1)
    torch.testing.assert_close(class_cost(scores, labels), expected)


@pytest.mark.parametrize("kind", ["random", "coarse", "far", "nan", "equal"])
@pytest.mark.parametrize("count", [3, 10, 700])
def test_cheapest_equals_a_stable_sort(kind: str, count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    cost = 10 * torch.rand(60, count, generator=generator)
    if kind == "coarse":
        cost = cost.round()
    elif kind == "far":  # in float32 these differ by sixteenths, like the costs of points that are not near a target
        cost = cost + 1e6 * (torch.rand(60, count, generator=generator) < 0.99)
    elif kind == "nan":
        cost[torch.rand(60, count, generator=generator) < 0.9] = torch.nan
    elif kind == "equal":
        cost = torch.ones_like(cost)
    max_count = min(10, count)
    counts = torch.randint(1, max_count + 1, (60,), generator=generator, dtype=torch.int32)
    ranks = cost.argsort(dim=1, stable=True).argsort(dim=1)
    assert torch.equal(cheapest(cost, counts, max_count), ranks < counts[:, None])


def test_a_candidate_of_two_targets_goes_to_the_cheaper() -> None:
    cost = torch.tensor([[1.0, 2.0, 9.0], [3.0, 0.5, 9.0]])
    ious = torch.tensor([[0.9, 0.8, 0.4], [0.9, 0.8, 0.4]])  # each target takes two: 0.9 + 0.8 + 0.4 = 2.1
    assert dynamic_k_assignment(cost, ious).tolist() == [0, 1, -1]


def test_every_target_near_a_point_gets_one_whatever_its_predictions() -> None:
    boxes, scores = predictions(0)
    targets = Targets.of(torch.tensor([[20.0, 20.0, 30.0, 30.0]]), torch.tensor([2]))
    assignment = match_simota(POINTS, RADIUS, boxes + 500, scores * 0, targets)
    assert (assignment == 0).sum() == 1


def test_no_targets_and_crowds() -> None:
    boxes, scores = predictions(0)
    assert (match_simota(POINTS, RADIUS, boxes, scores, Targets.empty()) == BACKGROUND).all()
    crowd = Targets.of(torch.tensor([[0.0, 0.0, 32.0, 64.0]]), torch.tensor([1]), is_crowd=torch.tensor([True]))
    assignment = match_simota(POINTS, RADIUS, boxes, scores, crowd)
    assert torch.equal(assignment == IGNORE, POINTS[:, 0] < 32)
    assert (assignment[POINTS[:, 0] > 32] == BACKGROUND).all()
