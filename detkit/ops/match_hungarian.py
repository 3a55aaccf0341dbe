"""Bipartite (Hungarian) matching of predictions and targets at the lowest total cost."""

from __future__ import annotations

import torch
from torch import Tensor

from detkit.ops.match import BACKGROUND
from detkit.structures import Targets

_WORST = 1e6
"""Replacement for a cost that is not finite, so that the problem shows in the loss and not as an error here."""


def match_hungarian(costs: Tensor, targets: Targets, target_copies: int = 1) -> Tensor:
    """Assign each of N predictions to at most one target.

    If there are more targets than predictions, the targets with the highest cost stay unmatched. Crowds are never matched. Source:
    DETR (arXiv:2005.12872), equation 1; solved exactly by scipy on the CPU.

    Args:
        costs: ``(N, M)`` cost of matching each prediction with each target.
        targets: The M targets.
        target_copies: Predictions matched with each target; fewer if there are not enough predictions.

    Returns:
        ``(N,)`` int64 rows of targets, or ``BACKGROUND``.
    """
    from scipy.optimize import linear_sum_assignment

    assignment = torch.full((len(costs),), BACKGROUND, dtype=torch.int64, device=costs.device)
    columns = (~targets.is_crowd).nonzero().flatten()
    # Every target gets the same number of predictions, so that none stays unmatched while another has two.
    columns = columns.repeat(max(1, min(target_copies, len(costs) // max(1, len(columns)))))
    table = costs.detach().float()[:, columns].nan_to_num(_WORST, _WORST, -_WORST)
    rows, indices = linear_sum_assignment(table.cpu().numpy())
    assignment[torch.from_numpy(rows).to(costs.device)] = columns[torch.from_numpy(indices).to(costs.device)]
    return assignment
