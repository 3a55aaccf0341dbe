"""Runs that ``torchrun`` restarts: the folder of a run records the launch that began it, so that restarted processes resume it.

``torchrun`` starts the same command again after a failure, after a node has joined or left, and when a batch system runs a job again. The
processes of such a restart must find the run that their predecessors began, which may have been on other machines.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from detkit.checkpoint.atomic import write_json
from detkit.training.folder import DEFAULT_ROOT, RunFolder
from detkit.training.process.distributed import Processes

_log = logging.getLogger(__name__)

NO_ID = "none"
"""The id that ``torchrun`` gives to a launch without ``--rdzv-id``."""


def launch_id() -> str | None:
    """Return what identifies the launch of this process, the same after each restart; None without ``torchrun``.

    It is ``--rdzv-id``. Without one it is the ``torchrun`` process that started this one, so that only its own restarts are recognized.
    """
    run_id = os.environ.get("TORCHELASTIC_RUN_ID")
    if run_id != NO_ID:
        return run_id
    return f"{NO_ID}/{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}/{os.getppid()}"


def record_launch(folder: RunFolder) -> None:
    """Write the launch that begins a run into its folder; nothing without ``torchrun``."""
    launch = launch_id()
    if launch is not None:
        write_json(folder.launch, {"id": launch})


def begun_run(name: str, output: str | None = None, root: str = DEFAULT_ROOT) -> RunFolder | None:
    """Return the newest run that an earlier start of this launch began; None if there is none.

    Args:
        name: Name of the experiment.
        output: Folder of the run, if the user names one.
        root: Where runs are that have no such folder.
    """
    launch = launch_id()
    if launch is None:
        return None
    return next((folder for folder in _candidates(name, output, root) if _launch_of(folder) == launch), None)


def run_to_resume(processes: Processes, name: str, output: str | None = None) -> RunFolder | None:
    """Return the run of this launch that has a state to resume from, the same in every process; None: begin it."""
    path = None
    if processes.first:
        folder = begun_run(name, output)
        path = str(folder.path) if folder is not None and folder.state.is_file() else None
        if path is not None:
            _log.info("torchrun's launch %s began the run in %s and resumes it; another --rdzv-id begins a new run", launch_id(), path)
    path = processes.broadcast(path)
    return None if path is None else RunFolder(Path(path))


def clear_begun(folder: RunFolder) -> None:
    """Delete the files of a run that ended before its first state was written; hidden files are not of the run."""
    for path in sorted(folder.path.rglob("*"), reverse=True):
        if not path.relative_to(folder.path).parts[0].startswith("."):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def changed_processes(before: int, now: int, batch_size: int, network: nn.Module) -> str:
    """Return the line about a run that is resumed with another number of processes: what stays the same, and what is not exact.

    Args:
        before: Number of processes that saved the run.
        now: Number of processes that resume it.
        batch_size: Images per batch over all processes.
        network: The network that is trained.
    """
    inexact = ["sums are rounded in another order"]
    if batch_size % now:
        shares = f"{batch_size // now} or {batch_size // now + 1}"
        inexact.append(f"a process gets {shares} images of a batch, so their weights in a step differ slightly")
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training for module in network.modules()):
        inexact.append(f"batch norms see about {batch_size / now:.3g} images instead of {batch_size / before:.3g}")
    if any(isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0 for module in network.modules()):
        inexact.append("dropout draws other random numbers")
    return (
        f"warning: the run was saved by {before} process{'es' * (before > 1)} and is resumed with {now}, so it does not continue exactly: "
        f"{'; '.join(inexact)}. Images per batch ({batch_size}), their order and the learning rate stay the same"
    )


def _candidates(name: str, output: str | None, root: str) -> Iterator[RunFolder]:
    """Yield the folders in which a run of this name can be, newest first."""
    if output is not None:
        yield RunFolder(Path(output))
        return
    launches = sorted(Path(root).glob(f"{name}-*/{RunFolder(Path()).launch.name}"), key=lambda path: path.stat().st_mtime, reverse=True)
    yield from (RunFolder(path.parent) for path in launches)


def _launch_of(folder: RunFolder) -> str | None:
    """Return the launch that began a run; None if the folder does not record one."""
    try:
        found = json.loads(folder.launch.read_text("utf-8"))["id"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return str(found)
