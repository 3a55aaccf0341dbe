"""The copies of a detector that several processes train."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from detkit.training.processes import Processes
from detkit.training.run import Run


def distributed(run: Run) -> nn.Module:
    """What is called for the losses: the detector, or the detector with its teacher, in each process."""
    network: nn.Module = run.learner or run.distilled or run.detector
    if run.processes.world == 1:
        return network
    devices = [run.device.index] if run.device.type == "cuda" else None
    moving = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in run.detector.modules())
    known = inspect.signature(DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # what PyTorch before 2.14 calls it
    choices: dict[str, Any] = {"device_ids": devices, option: moving}
    return DistributedDataParallel(network, **choices)


@torch.no_grad()
def share_buffers(processes: Processes, *models: nn.Module) -> None:
    """Give every process the first one's float buffers, in place; every process must call it at the same place.

    Processes share buffers before a forward pass only: after it each has moved its norms' statistics by its own images. An evaluation,
    whose images are shared out, would judge a mixture of models of which only the first process's is kept.
    """
    if processes.world == 1:
        return
    for buffer in (buffer for model in models for buffer in model.buffers() if buffer.is_floating_point()):
        sent = buffer.contiguous()
        dist.broadcast(sent, src=0)
        if sent is not buffer:
            buffer.copy_(sent)
