"""Numbers that all processes of a training run share."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


@torch.no_grad()
def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of ``value`` over all processes, detached; the value itself where there is one process.

    Losses divide by it (the number of positives, for example), so that the gradient does not depend on how images were split.
    """
    value = value.detach()
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
