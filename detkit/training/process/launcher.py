"""Several processes of one command on this machine, started by the launcher of ``torchrun``, without typing ``torchrun``."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PREFIX = "detkit-"
"""Begin of the ids of launches by :func:`launch`, which differ from those of a user."""
_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
"""Environment variable with the file in which a process of a launch records its error."""
_PID = "pid"
SHUTDOWN_SECONDS = 300
"""Seconds for the current step and the write of the state after a signal, then processes are killed; 30 in versions of PyTorch that do not
read ``TORCH_ELASTIC_SHUTDOWN_TIMEOUT``."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TAIL_LINES = 20
_LOST = "LostProcessError"
_STOPPED = (130, 143, -signal.SIGTERM, -signal.SIGINT)
"""Exit codes of a process that was stopped by a signal: as it handles them, and as the system does."""


@dataclass(frozen=True)
class Ended:
    """How the processes of a launch ended.

    Attributes:
        code: The exit code of the command.
        message: The error of the process that failed first; empty if they succeeded, were stopped, or printed it themselves.
        trace: Its traceback, if it recorded one.
    """

    code: int = 0
    message: str = ""
    trace: str = ""


def is_launched() -> bool:
    """Return whether this process was started by :func:`launch`."""
    return os.environ.get("TORCHELASTIC_RUN_ID", "").startswith(_PREFIX)


def launch(command: Sequence[str], count: int, environment: Mapping[str, str]) -> Ended:
    """Run a command in several processes, and return when all have ended.

    Rank 0 has the standard output and error of this process; the output of the others is shown only if one of them fails. A signal is
    passed on to all processes, each of which saves its work; a second one ends them.

    Args:
        command: The words of the command; the first is the program.
        count: Number of processes.
        environment: Additional variables of their environment.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="detkit-devices-") as folder, _settings(environment):
        logs = DefaultLogsSpecs(folder, redirects={rank: Std.ALL if rank else Std.NONE for rank in range(count)})
        options: dict[str, Any] = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "local_addr": "127.0.0.1", "max_restarts": 0}
        config = LaunchConfig(1, 1, count, logs, f"{_PREFIX}{uuid.uuid4().hex}", **options)
        try:
            elastic_launch(config, command[0])(*command[1:])
        except SignalException as stop:  # all processes have answered a first signal by now
            _stop_now(Path(folder), stop.sigval)
            return Ended(128 + stop.sigval)
        except ChildFailedError as error:
            return _failure(error.failures, count, Path(folder))
    return Ended()


@contextmanager
def recorded_errors() -> Iterator[None]:
    """Record this process and an error of the block for the process that called :func:`launch`, which reports it; else do nothing.

    Raises:
        SystemExit: Instead of the error, of a kind that a user can cause.
    """
    if not is_launched():
        yield
        return
    path = Path(os.environ[_ERROR_FILE])
    path.with_name(_PID).write_text(str(os.getpid()))
    try:
        yield
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        extra = {"kind": type(error).__name__, "timestamp": str(int(time.time())), "py_callstack": traceback.format_exc()}
        path.write_text(json.dumps({"message": {"message": str(error), "extraInfo": extra}}))
        if os.environ["RANK"] != "0":
            time.sleep(1.0)  # rank 0 may have lines to print before the launcher ends it
        raise SystemExit(2) from error


def threads_per_process(count: int) -> str:
    """Return the CPU threads of each process when all share the processors that this process may use."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return str(max(1, available // count))


@contextmanager
def _settings(environment: Mapping[str, str]) -> Iterator[None]:
    """Set what the launcher reads from its process, and restore it: environment, input, signal handlers and the level of its log."""
    variables = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(SHUTDOWN_SECONDS), **environment}
    before = {name: os.environ.get(name) for name in (*variables, "TORCHELASTIC_SIGNALS_TO_HANDLE")}
    handlers = {number: signal.getsignal(number) for number in (*_SIGNALS, *_others())}
    os.environ.update(variables)
    disabled = [logger for name, logger in logging.root.manager.loggerDict.items() if _is_of_launcher(name, logger)]
    for logger in disabled:
        logger.disabled = True  # type: ignore[union-attr]  # its errors are reported in one line
    try:
        yield
    finally:
        for logger in disabled:
            logger.disabled = False  # type: ignore[union-attr]
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _others() -> Iterator[signal.Signals]:
    """Yield the other signals that the launcher handles, where the system has them."""
    for name in ("SIGHUP", "SIGQUIT"):
        if hasattr(signal, name):
            yield getattr(signal, name)


def _is_of_launcher(name: str, logger: object) -> bool:
    return isinstance(logger, logging.Logger) and name.startswith(("torch.distributed.elastic", "torch.distributed.launcher"))


def _stop_now(folder: Path, number: int) -> None:
    """Pass a second signal on to the processes that are still there, and wait for them; a third one kills them."""
    from torch.distributed.elastic.multiprocessing import SignalException

    alive = list[int]()
    for path in folder.rglob(_PID):
        with suppress(OSError, ValueError):  # it has ended, and the launcher has its exit code
            pid = int(path.read_text())
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                alive.append(pid)
                os.kill(pid, number)
    try:
        for pid in alive:
            os.waitpid(pid, 0)
    except SignalException:
        for pid in alive:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _failure(failures: Mapping[int, Any], count: int, folder: Path) -> Ended:
    """Return the cause among the failures of processes, by rank, and not a consequence: a lost connection, or a stop by the launcher."""
    details = {rank: _detail(failure) for rank, failure in failures.items()}
    rank = min(failures, key=lambda rank: (details[rank].get("kind") == _LOST, failures[rank].exitcode in _STOPPED, rank))
    code, detail = failures[rank].exitcode, details[rank]
    if detail:
        return Ended(code, detail["message"], detail["trace"])
    if code in _STOPPED:  # by a signal of its own, about which it has printed a line
        return Ended(code if code > 0 else 128 - code)
    if code < 0:
        name = signal.Signals(-code).name
        advice = ", perhaps as memory ran out" if name == "SIGKILL" else ""
        return Ended(128 - code, f"process {rank} of {count} was killed by {name}{advice}; resume the run with --resume")
    return Ended(code, f"process {rank} of {count} ended with exit code {code}", _tail(folder, rank) if rank else "")


def _detail(failure: Any) -> dict[str, str]:
    """Return what a process recorded about its error; empty if it recorded nothing."""
    try:
        message = json.loads(Path(failure.error_file).read_text())["message"]
        extra = message["extraInfo"]
        return {"message": message["message"], "kind": extra.get("kind", ""), "trace": extra.get("py_callstack", "")}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _tail(folder: Path, rank: int) -> str:
    """Return the last lines that a process wrote to its standard error."""
    texts = [path.read_text(errors="replace") for path in folder.rglob("stderr.log") if path.parent.name == str(rank)]
    return "\n".join(texts[0].splitlines()[-_TAIL_LINES:]) if texts else ""


def python_command(*words: str) -> list[str]:
    """Return the command that runs ``detkit`` with these words by this interpreter."""
    return [sys.executable, "-m", "detkit", *words]
