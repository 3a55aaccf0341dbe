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
    if world_size() == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / world_size()


def loss_normalizer(total: Tensor, least: float = 1.0) -> Tensor:
    """What a loss divides by: the mean over processes of ``total``, whose sum over them counts as at least ``least``."""
    return mean_over_processes(total).clamp(min=least / world_size())


def world_size() -> int:
    """How many processes train together; 1 where there is one."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
