"""Several processes training one model: who this one is, and what all of them agree on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

SETTLING = 0.1
"""Seconds for gloo's threads to let go of the tensors of the last exchange. They need the interpreter for it, to which the end of the group
holds on while it waits for them: PyTorch 2.6 was seen to stand still there for ever."""


@dataclass(frozen=True)
class Processes:
    """Who this process is among those that ``torchrun`` started; alone by default.

    Attributes:
        rank: Its number over all machines; 0 writes, prints and decides.
        local_rank: Its number on this machine, which is its GPU's.
        world: How many there are.
    """

    rank: int = 0
    local_rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes and prints."""
        return self.rank == 0

    def sums(self, *values: float) -> list[float]:
        """The sum over all processes of each value; every process must call it at the same place."""
        if self.world == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=_device())
        dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def is_true_in_any(self, flag: Tensor) -> bool:
        """Whether a bool on this process's device is true in any process, the same in each; every process must call it at the same place.

        The device is waited for once, as it is for the bool of one process.
        """
        if self.world == 1:
            return bool(flag)
        most = flag.to(torch.float32)
        dist.all_reduce(most, dist.ReduceOp.MAX)
        return bool(most)

    def from_first(self, value: Any) -> Any:
        """The first process's value, in every process."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gathered(self, value: Any) -> list[Any]:
        """Every process's value, by rank, in every process."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values


@contextmanager
def joined_processes(device: str) -> Iterator[Processes]:
    """Join the group that ``torchrun`` set up (``RANK``, ``WORLD_SIZE``), and leave it afterwards; alone without one.

    A group that exists already is used and left as it is. GPUs exchange gradients by NCCL, CPUs by gloo.

    Raises:
        ValueError: the device that was asked for is not here, or there are not as many GPUs as processes.
    """
    if dist.is_available() and dist.is_initialized():
        yield Processes(dist.get_rank(), int(os.environ.get("LOCAL_RANK", dist.get_rank())), dist.get_world_size())
        return
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes()
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    place = resolve_device(device, local_rank, world)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), local_rank, dist.get_world_size())
    finally:
        time.sleep(SETTLING)
        dist.destroy_process_group()


@contextmanager
def computing_threads(count: int | None) -> Iterator[None]:
    """Within it torch computes with so many threads; afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def resolve_device(asked: str, local_rank: int = 0, world: int = 1) -> torch.device:
    """``auto`` is this process's GPU if there is one, else Apple's if it is alone, else the CPU; ``cuda`` is this process's GPU.

    Args:
        asked: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        local_rank: The process's number on this machine.
        world: How many processes train together.

    Raises:
        ValueError: the device that was asked for is not here, or is none for one of several processes.
    """
    if asked == "auto":
        apple = world == 1 and torch.backends.mps.is_available()  # no backend exchanges gradients between Apple's
        asked = "cuda" if torch.cuda.is_available() else "mps" if apple else "cpu"
    try:
        device = torch.device(asked)
    except RuntimeError:
        raise ValueError(f"device {asked!r}: expected auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda":
        return _gpu(asked, device.index, local_rank, world)
    if device.type == "mps" and world > 1:
        raise ValueError(f"device 'mps': it trains in one process, got {world}; start detkit without torchrun, or use --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device 'mps': not available here; use --device cpu or auto")
    return device


def _gpu(asked: str, index: int | None, local_rank: int, world: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index is not None and world > 1:
        raise ValueError(f"device {asked!r}: {world} processes train together, each on a GPU of its own; use --device cuda or auto")
    index = local_rank if index is None else index
    if index >= count and count and world > 1:
        raise ValueError(f"device {asked!r}: process {local_rank} of this machine finds {count} GPUs; start one process for each GPU")
    if index >= count:
        raise ValueError(f"device {asked!r}: this machine has {count} CUDA devices; use --device cpu or auto")
    return torch.device("cuda", index)


def _device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
