"""``detkit train --devices``: the same command in several processes on this machine."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace

from detkit.cli.command_line import command_line
from detkit.cli.process import INTERRUPTED, TERMINATED
from detkit.cli.subjects import is_data
from detkit.cli.train.options import TrainOptions, add_train_flags

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_STOPPED = (INTERRUPTED, TERMINATED)


def wants_processes(options: TrainOptions) -> bool:
    """Return whether this process is to start others, and is not one of them.

    Raises:
        ValueError: If torchrun has started it, or it is to do what one process does.
    """
    if options.devices is None or _is_launched():
        return False
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise ValueError(f"--devices {options.devices}: torchrun starts the processes already; leave out --devices")
    if options.smoke or options.show_batches is not None:
        raise ValueError(f"--devices {options.devices}: expected a training; leave it out with --smoke and --show-batches")
    return options.devices != "1"


def train_on_devices(options: TrainOptions, target: str | None) -> int:
    """Train in several processes, and return the exit code of the one that failed first.

    Raises:
        ValueError: If there are too few GPUs, or the device is that of one process.
        RuntimeError: If a process fails by an error that one process would print.
    """
    from detkit.training.process.launcher import launch, python_command, threads_per_process

    count, environment = processes_of(options)
    _settle_questions(options, target)
    if "OMP_NUM_THREADS" not in os.environ:
        environment["OMP_NUM_THREADS"] = threads_per_process(count)
    words = shlex.split(command_line("train", add_train_flags, _for_processes(options)))[1:]
    ended = launch(python_command(*words), count, environment)
    if ended.code == 2 and ended.message:
        error = RuntimeError(ended.message)
        error.add_note(ended.trace)
        raise error
    if ended.message:
        print(f"{ended.trace}\ndetkit: error: {ended.message}".strip(), file=sys.stderr)
    return ended.code


def processes_of(options: TrainOptions) -> tuple[int, dict[str, str]]:
    """Return the number of processes of ``--devices``, and the environment that shows them the GPUs it names.

    Raises:
        ValueError: If there are too few GPUs, or the device is that of one process.
    """
    devices = options.devices or "1"
    named = [int(name.removeprefix("cuda:")) for name in devices.split(",")] if ":" in devices else None
    count = int(devices) if named is None else len(named)
    if options.device not in {"auto", "cpu", "cuda"} or (named is not None and options.device == "cpu"):
        other = "leave out --device" if named is not None else "use --device auto, cpu or cuda"
        raise ValueError(f"--devices {devices}: does not go with --device {options.device}; {other}")
    gpus = 0 if options.device == "cpu" else _gpu_count()
    if named is None and (options.device == "cpu" or (options.device == "auto" and not gpus)):
        return count, {}
    needed = count if named is None else max(named) + 1
    if needed > gpus:
        have = f"this machine has {gpus}" if gpus else "this machine has none"
        wanted = f"expected {count} GPUs, one for each process" if named is None else f"expected a GPU cuda:{max(named)}"
        raise ValueError(f"--devices {devices}: {wanted}, but {have}; name fewer, or train on the CPU with --device cpu")
    return count, {} if named is None else {_VISIBLE: _visible(named)}


def _is_launched() -> bool:
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return False
    from detkit.training.process.launcher import is_launched

    return is_launched()


def _for_processes(options: TrainOptions) -> TrainOptions:
    """Return the options of each process; GPUs named on the command line are all that they see."""
    named = options.devices is not None and ":" in options.devices
    return replace(options, device="cuda") if named else options


def _gpu_count() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _visible(named: list[int]) -> str:
    """Return the value that shows only the named GPUs, which are numbered among those visible now."""
    now = [name for name in os.environ.get(_VISIBLE, "").split(",") if name]
    return ",".join(now[index] if now else str(index) for index in named)


def _settle_questions(options: TrainOptions, target: str | None) -> None:
    """Ask what a recipe asks before several processes start, which have no terminal to ask on."""
    if options.resume is None and target is not None and is_data(target):
        from detkit.cli.train.recipe import settle_download

        settle_download(options)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
