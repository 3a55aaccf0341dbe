"""Distributed training: the rank of this process and the values that all processes agree on."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from detkit.training.process.round_store import round_store

SETTLE_SECONDS = 0.1
"""Seconds for gloo's threads to release the tensors of the last exchange. They need the interpreter lock for it, which the destruction of
the group holds while it waits for them: PyTorch 2.6 was seen to hang there forever."""
_LOST = re.compile(
    r"gloo/transport|connection (?:was )?(?:closed|reset|refused)|broken pipe|NCCL|Timed out waiting|recvValue failed", re.IGNORECASE
)
"""PyTorch's words for an exchange that failed because another process was gone; gloo's errors have no type of their own."""


class LostProcessError(RuntimeError):
    """Another process of the run has ended, or cannot be reached, so that nothing can be exchanged with it."""


@dataclass(frozen=True)
class Processes:
    """This process among those that ``torchrun`` started; a single one by default.

    Attributes:
        rank: Rank over all machines; rank 0 writes, prints and decides.
        local_rank: Rank on this machine, which is also the index of its GPU.
        world: Number of processes.
        elastic: Whether the run may go on, or goes on, with another number of processes than it began with.
    """

    rank: int = 0
    local_rank: int = 0
    world: int = 1
    elastic: bool = False

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def sum(self, *values: float) -> list[float]:
        """Return the sum of each value over all processes; every process must call it at the same point."""
        if self.world == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=_device())
        dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def any_true(self, flag: Tensor) -> bool:
        """Return whether a bool on the device is true in any process; every process must call it at the same point.

        It synchronizes with the device once, as reading the bool of one process does.
        """
        if self.world == 1:
            return bool(flag)
        maximum = flag.to(torch.float32)
        dist.all_reduce(maximum, dist.ReduceOp.MAX)
        return bool(maximum)

    def broadcast(self, value: Any) -> Any:
        """Return the value of the first process in every process."""
        if self.world == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank, in every process."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values


@contextmanager
def process_group(device: str) -> Iterator[Processes]:
    """Join the process group of ``torchrun`` (``RANK``, ``WORLD_SIZE``) and leave it afterwards; a single process without torchrun.

    A group that already exists is used and left intact. GPUs exchange gradients by NCCL, CPUs by gloo.

    Raises:
        ValueError: If the requested device is not available, or there are fewer GPUs than processes.
        LostProcessError: From the block, if another process has ended.
    """
    if dist.is_available() and dist.is_initialized():
        yield Processes(dist.get_rank(), int(os.environ.get("LOCAL_RANK", dist.get_rank())), dist.get_world_size())
        return
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes()
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    resolved = resolve_device(device, local_rank, world)
    if resolved.type == "cuda":
        torch.cuda.set_device(resolved)
    backend = "nccl" if resolved.type == "cuda" else "gloo"
    if "TORCHELASTIC_RUN_ID" in os.environ:
        store, rank, world = round_store()
        dist.init_process_group(backend, store=store, rank=rank, world_size=world)
    else:
        dist.init_process_group(backend)
    try:
        with _explain_lost_process(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Grad strides do not match")  # those of 1x1 convolutions, which are equal in effect
            yield Processes(dist.get_rank(), local_rank, dist.get_world_size(), int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0)
    finally:
        time.sleep(SETTLE_SECONDS)
        dist.destroy_process_group()


@contextmanager
def _explain_lost_process() -> Iterator[None]:
    """Replace PyTorch's error about an exchange with a process that is gone with one line."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not _LOST.search(str(error)):
            raise
        reason = (str(error).splitlines() or [""])[0].split(". ")[0]
        raise LostProcessError(
            "another process of this run has ended or cannot be reached; its own output has the reason, if any. torchrun --max-restarts "
            f"resumes a run by itself, and detkit train --resume FOLDER resumes it now ({reason})"
        ) from error


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Set the number of torch's CPU threads inside the block, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def resolve_device(requested: str, local_rank: int = 0, world: int = 1) -> torch.device:
    """Return the device of this process.

    ``auto`` is this process's GPU if there is one, else Apple's GPU for a single process, else the CPU; ``cuda`` is this process's GPU.

    Args:
        requested: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        local_rank: Rank of the process on this machine.
        world: Number of processes.

    Raises:
        ValueError: If the device is not available, or cannot be used by one of several processes.
    """
    if requested == "auto":
        apple = world == 1 and torch.backends.mps.is_available()  # no backend exchanges gradients between Apple GPUs
        requested = "cuda" if torch.cuda.is_available() else "mps" if apple else "cpu"
    try:
        device = torch.device(requested)
    except RuntimeError:
        raise ValueError(f"device {requested!r}: expected auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda":
        return _gpu(requested, device.index, local_rank, world)
    if device.type == "mps" and world > 1:
        raise ValueError(f"device 'mps': expected one process, got {world}; start detkit without torchrun, or use --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device 'mps' is not available; use --device cpu or auto")
    return device


def _gpu(requested: str, index: int | None, local_rank: int, world: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index is not None and world > 1:
        raise ValueError(
            f"device {requested!r}: expected a device without an index, as each of the {world} processes uses its own GPU; "
            "use --device cuda or auto"
        )
    index = local_rank if index is None else index
    if index >= count and count and world > 1:
        raise ValueError(
            f"device {requested!r}: no GPU for process {local_rank} of this machine, which has {count} GPUs; start one process per GPU"
        )
    if index >= count:
        raise ValueError(f"device {requested!r}: this machine has {count} CUDA devices; use --device cpu or auto")
    return torch.device("cuda", index)


def _device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
