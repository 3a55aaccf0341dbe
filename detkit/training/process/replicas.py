"""Replicas of a detector in several processes."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from detkit.training.process.distributed import Processes


def wrap_distributed(network: nn.Module, processes: Processes, device: torch.device) -> nn.Module:
    """Return the module that computes the losses, in DDP if there are several processes."""
    if processes.world == 1:
        return network
    devices = [device.index] if device.type == "cuda" else None
    has_batch_norm = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    known = inspect.signature(DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # its name before PyTorch 2.14
    options: dict[str, Any] = {"device_ids": devices, option: has_batch_norm}
    return DistributedDataParallel(network, **options)


def gradient_sync(network: nn.Module, last: bool) -> AbstractContextManager[Any]:
    """Return a context in which processes exchange gradients only after the last batch of a step."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) and not last else nullcontext()


@torch.no_grad()
def broadcast_buffers(processes: Processes, *models: nn.Module) -> None:
    """Copy the float buffers of the first process to all others, in place; every process must call it at the same point.

    DDP broadcasts buffers only before a forward pass, after which each process has updated the statistics of its norms with its own
    images. An evaluation divides its images among the processes, so it would otherwise measure a mixture of models of which only that of
    the first process is saved.
    """
    if processes.world == 1:
        return
    for buffer in (buffer for model in models for buffer in model.buffers() if buffer.is_floating_point()):
        sent = buffer.contiguous()
        dist.broadcast(sent, src=0)
        if sent is not buffer:
            buffer.copy_(sent)
