"""Reductions over the processes of a training run."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


@torch.no_grad()
def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of ``value`` over all processes, detached; the value itself for a single process.

    Losses are divided by it (for example by the number of positives), so that the gradient does not depend on how the images are
    distributed over the processes.
    """
    value = value.detach()
    if world_size() == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / world_size()


def loss_normalizer(total: Tensor, min_total: float = 1.0) -> Tensor:
    """Normalizer of a loss: the mean of ``total`` over processes, where the sum over processes is at least ``min_total``."""
    return mean_over_processes(total).clamp(min=min_total / world_size())


def max_over_processes(value: int, device: torch.device) -> int:
    """Return the largest ``value`` of all processes; ``device`` is that of the losses, where processes exchange tensors."""
    if world_size() == 1:
        return value
    largest = torch.tensor(value, device=device)
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return int(largest)


def world_size() -> int:
    """Number of processes that train together; 1 without distributed training."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
