"""Matching as an assignment: no place answers for two objects, no object has more places than it is given, and the whole costs least."""

from __future__ import annotations

import torch
from torch import Tensor

from detkit.ops.match import BACKGROUND
from detkit.structures import Targets

_WORST = 1e6
"""Stands for a cost that is not finite, so that the loss, not the assignment, shows what is wrong."""


def match_hungarian(costs: Tensor, targets: Targets, target_copies: int = 1) -> Tensor:
    """``(N,)`` int64, for each of N places the row of its target, or ``BELOW`` for background.

    Where there are more targets than places, the costliest targets go without. Crowds are never matched. Source: DETR
    (arXiv:2005.12872), equation 1; solved exactly by scipy on the CPU.

    Args:
        costs: ``(N, M)``: what it costs a place to answer for a target.
        targets: The M objects.
        target_copies: Places for each object, or fewer where there are not as many places.
    """
    from scipy.optimize import linear_sum_assignment

    assignment = torch.full((len(costs),), BACKGROUND, dtype=torch.int64, device=costs.device)
    columns = (~targets.is_crowd).nonzero().flatten()
    # Every object gets as many places as every other, so that none goes without while another has two.
    columns = columns.repeat(max(1, min(target_copies, len(costs) // max(1, len(columns)))))
    table = costs.detach().float()[:, columns].nan_to_num(_WORST, _WORST, -_WORST)
    locations, selection = linear_sum_assignment(table.cpu().numpy())
    assignment[torch.from_numpy(locations).to(costs.device)] = columns[torch.from_numpy(selection).to(costs.device)]
    return assignment
