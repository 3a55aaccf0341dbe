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


def lowest_cost(costs: torch.Tensor) -> float:
    """Lowest sum over all ways to give every target a prediction of its own."""
    matchings = permutations(range(costs.shape[0]), costs.shape[1])
    return min(sum(float(costs[index, column]) for column, index in enumerate(matching)) for matching in matchings)


@pytest.mark.parametrize("seed", range(5))
def test_the_total_cost_is_the_lowest(seed: int) -> None:
    costs = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
    assignment = match_hungarian(costs, targets(4))
    assert sorted(assignment[assignment >= 0].tolist()) == [0, 1, 2, 3]
    assert int((assignment == BACKGROUND).sum()) == 2
    assert sum(float(costs[index, row]) for index, row in enumerate(assignment.tolist()) if row >= 0) == pytest.approx(lowest_cost(costs))


def test_the_matching_is_not_greedy() -> None:
    costs = torch.tensor([[0.0, 1.0], [0.1, 9.0]])
    assert match_hungarian(costs, targets(2)).tolist() == [1, 0]


def test_surplus_targets_with_the_highest_cost_stay_unmatched() -> None:
    costs = torch.tensor([[5.0, 1.0, 3.0], [4.0, 2.0, 0.0]])
    assert match_hungarian(costs, targets(3)).tolist() == [1, 2]


def test_all_targets_get_the_same_number_of_predictions() -> None:
    costs = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    counts = [match_hungarian(costs[:count], targets(3), target_copies=3).tolist() for count in (7, 6, 5, 2)]
    assert [sorted(rows.count(row) for row in range(3)) for rows in counts] == [[2, 2, 2], [2, 2, 2], [1, 1, 1], [0, 1, 1]]


def test_crowds_and_empty_targets_are_not_matched() -> None:
    costs = torch.tensor([[-9.0, 1.0], [-8.0, 2.0]])
    assert match_hungarian(costs, targets(2, crowds=(0,))).tolist() == [1, BACKGROUND]
    assert match_hungarian(costs[:, :1], targets(1, crowds=(0,))).tolist() == [BACKGROUND, BACKGROUND]
    assert match_hungarian(torch.zeros(3, 0), targets(0)).tolist() == [BACKGROUND] * 3


def test_non_finite_costs_are_avoided() -> None:
    costs = torch.tensor([[float("nan"), 1.0], [2.0, float("inf")]])
    assert match_hungarian(costs, targets(2)).tolist() == [1, 0]
