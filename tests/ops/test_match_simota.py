from __future__ import annotations

import pytest
import torch
from torch import Tensor

from detkit.ops.anchors import grid_points
from detkit.ops.boxes import box_iou
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.ops.match_simota import assign, cheapest, class_cost, match_simota
from detkit.structures import Targets

POINTS = torch.cat([grid_points((64 // stride, 64 // stride), (stride, stride), 0.5) for stride in (8, 16, 32)])
REACH = 1.5 * torch.cat([torch.full(((64 // stride) ** 2,), float(stride)) for stride in (8, 16, 32)])


def predictions(seed: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sides = 8 + 24 * torch.rand(len(POINTS), 2, generator=generator)
    return torch.cat((POINTS - sides / 2, POINTS + sides / 2), 1), torch.rand(len(POINTS), classes, generator=generator)


def objects(seed: int, count: int) -> Targets:
    generator = torch.Generator().manual_seed(seed)
    corner = 40 * torch.rand(count, 2, generator=generator)
    sides = 6 + 16 * torch.rand(count, 2, generator=generator)
    return Targets.of(torch.cat((corner, corner + sides), 1), torch.randint(0, 4, (count,), generator=generator))


def in_plain_words(boxes: Tensor, scores: Tensor, targets: Targets, center_inside_box: bool) -> list[int]:
    """The rule object by object and place by place."""
    near, competes = {}, set()
    for row, box in enumerate(targets.boxes.tolist()):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        for place, ((px, py), reach) in enumerate(zip(POINTS.tolist(), REACH.tolist(), strict=True)):
            central = abs(px - x) < reach and abs(py - y) < reach
            within = box[0] < px < box[2] and box[1] < py < box[3]
            near[row, place] = central and (within or not center_inside_box)
            if central or (center_inside_box and within):
                competes.add(place)
    locations = sorted(competes)
    overlaps = box_iou(targets.boxes, boxes[locations])
    cost = torch.zeros(len(targets), len(locations))
    for row, label in enumerate(targets.labels.tolist()):
        for column, place in enumerate(locations):
            wanted = torch.zeros(scores.shape[1])
            wanted[label] = 1
            cost[row, column] = torch.nn.functional.binary_cross_entropy(scores[place], wanted, reduction="sum")
            cost[row, column] -= 3 * torch.log(overlaps[row, column] + 1e-8)
            cost[row, column] += 0 if near[row, place] else 1e6
    takers: dict[int, list[int]] = {}
    for row in range(len(targets)):
        count = max(1, int(overlaps[row].sort(descending=True).values[:10].sum()))
        for column in cost[row].sort().indices[:count].tolist():
            takers.setdefault(column, []).append(row)
    found = [BACKGROUND] * len(boxes)
    for column, rows in takers.items():
        found[locations[column]] = rows[0] if len(rows) == 1 else int(cost[:, column].argmin())
    return found


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_is_the_rule_in_plain_words(seed: int, center_inside_box: bool) -> None:
    boxes, scores = predictions(seed)
    targets = objects(seed + 100, 1 + 2 * seed)
    assignment = match_simota(POINTS, REACH, boxes, scores, targets, center_inside_box=center_inside_box)
    assert assignment.tolist() == in_plain_words(boxes, scores, targets, center_inside_box)
    assert (assignment >= 0).sum() >= 1


def test_cost_of_a_class_is_the_cross_entropy_also_of_certain_scores() -> None:
    scores = torch.tensor([[0.2, 0.7, 0.0], [1.0, 0.0, 0.5]])
    labels = torch.tensor([1, 0, 2])
    wanted = torch.nn.functional.one_hot(labels, 3).float()[:, None].expand(3, 2, 3)
    expected = torch.nn.functional.binary_cross_entropy(scores.expand(3, 2, 3), wanted, reduction="none").sum(-1)
    torch.testing.assert_close(class_cost(scores, labels), expected)


@pytest.mark.parametrize("kind", ["random", "coarse", "far", "no_numbers", "equal"])
@pytest.mark.parametrize("places", [3, 10, 700])
def test_the_cheapest_are_those_of_a_stable_sort(kind: str, locations: int) -> None:
    generator = torch.Generator().manual_seed(locations)
    cost = 10 * torch.rand(60, locations, generator=generator)
    if kind == "coarse":
        cost = cost.round()
    elif kind == "far":  # in float32 these differ by sixteenths, as those of places that are not near an object do
        cost = cost + 1e6 * (torch.rand(60, locations, generator=generator) < 0.99)
    elif kind == "no_numbers":
        cost[torch.rand(60, locations, generator=generator) < 0.9] = torch.nan
    elif kind == "equal":
        cost = torch.ones_like(cost)
    most = min(10, locations)
    counts = torch.randint(1, most + 1, (60,), generator=generator, dtype=torch.int32)
    ranks = cost.argsort(dim=1, stable=True).argsort(dim=1)
    assert torch.equal(cheapest(cost, counts, most), ranks < counts[:, None])


def test_a_place_that_two_took_goes_to_the_cheaper() -> None:
    cost = torch.tensor([[1.0, 2.0, 9.0], [3.0, 0.5, 9.0]])
    overlaps = torch.tensor([[0.9, 0.8, 0.4], [0.9, 0.8, 0.4]])  # each takes two: 0.9 + 0.8 + 0.4 = 2.1
    assert assign(cost, overlaps).tolist() == [0, 1, -1]


def test_every_object_near_a_place_gets_one_however_bad_its_predictions() -> None:
    boxes, scores = predictions(0)
    targets = Targets.of(torch.tensor([[20.0, 20.0, 30.0, 30.0]]), torch.tensor([2]))
    assignment = match_simota(POINTS, REACH, boxes + 500, scores * 0, targets)
    assert (assignment == 0).sum() == 1


def test_nothing_to_see_and_crowds() -> None:
    boxes, scores = predictions(0)
    assert (match_simota(POINTS, REACH, boxes, scores, Targets.empty()) == BACKGROUND).all()
    crowd = Targets.of(torch.tensor([[0.0, 0.0, 32.0, 64.0]]), torch.tensor([1]), is_crowd=torch.tensor([True]))
    assignment = match_simota(POINTS, REACH, boxes, scores, crowd)
    assert torch.equal(assignment == IGNORE, POINTS[:, 0] < 32)
    assert (assignment[POINTS[:, 0] > 32] == BACKGROUND).all()
