from __future__ import annotations

from itertools import permutations

import pytest
import torch

from detkit.ops.match import BACKGROUND
from detkit.ops.match_hungarian import match_hungarian
from detkit.structures import Targets


def targets(count: int, crowds: tuple[int, ...] = ()) -> Targets:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).expand(count, 4)
    is_crowd = torch.zeros(count, dtype=torch.bool)
    is_crowd[list(crowds)] = True
    return Targets.of(boxes, torch.zeros(count, dtype=torch.int64), is_crowd=is_crowd)


def least(costs: torch.Tensor) -> float:
    """The least sum over all ways to give every target a place of its own."""
    ways = permutations(range(costs.shape[0]), costs.shape[1])
    return min(sum(float(costs[place, column]) for column, place in enumerate(way)) for way in ways)


@pytest.mark.parametrize("seed", range(5))
def test_the_sum_is_the_least_of_all_ways(seed: int) -> None:
    costs = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
    assignment = match_hungarian(costs, targets(4))
    assert sorted(assignment[assignment >= 0].tolist()) == [0, 1, 2, 3]
    assert int((assignment == BACKGROUND).sum()) == 2
    assert sum(float(costs[place, row]) for place, row in enumerate(assignment.tolist()) if row >= 0) == pytest.approx(least(costs))


def test_a_greedy_choice_is_not_taken() -> None:
    costs = torch.tensor([[0.0, 1.0], [0.1, 9.0]])
    assert match_hungarian(costs, targets(2)).tolist() == [1, 0]


def test_more_targets_than_places_leave_the_costliest_out() -> None:
    costs = torch.tensor([[5.0, 1.0, 3.0], [4.0, 2.0, 0.0]])
    assert match_hungarian(costs, targets(3)).tolist() == [1, 2]


def test_objects_have_as_many_places_as_there_are_for_all() -> None:
    costs = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    counts = [match_hungarian(costs[:locations], targets(3), target_copies=3).tolist() for locations in (7, 6, 5, 2)]
    assert [sorted(rows.count(row) for row in range(3)) for rows in counts] == [[2, 2, 2], [2, 2, 2], [1, 1, 1], [0, 1, 1]]


def test_crowds_and_nothing_are_matched_by_nobody() -> None:
    costs = torch.tensor([[-9.0, 1.0], [-8.0, 2.0]])
    assert match_hungarian(costs, targets(2, crowds=(0,))).tolist() == [1, BACKGROUND]
    assert match_hungarian(costs[:, :1], targets(1, crowds=(0,))).tolist() == [BACKGROUND, BACKGROUND]
    assert match_hungarian(torch.zeros(3, 0), targets(0)).tolist() == [BACKGROUND] * 3


def test_costs_that_are_no_numbers_are_avoided() -> None:
    costs = torch.tensor([[float("nan"), 1.0], [2.0, float("inf")]])
    assert match_hungarian(costs, targets(2)).tolist() == [1, 0]
