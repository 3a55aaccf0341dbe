"""The copies of a detector that several processes train."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

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
