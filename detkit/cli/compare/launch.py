"""Start the processes of ``detkit compare``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import detkit
from detkit.config import Config

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables of libraries, which would otherwise use all cores in every process."""


class Worker:
    """A process that works on one task.

    It has a session of its own, so that Ctrl-C in a terminal reaches only the command, which asks each process to save its work.
    """

    def __init__(self, task: Config, output: Path) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        self._task = output.with_name(f"task-{os.getpid()}-{id(self):x}.json")
        self._task.write_text(task.to_json(), "utf-8")
        command = [sys.executable, "-m", "detkit.cli.compare.worker", str(self._task)]
        environment = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), **_same_package(), "PYTHONUNBUFFERED": "1"}
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        code = self._process.poll()
        if code is not None:
            self._task.unlink(missing_ok=True)
        return code

    def stop(self) -> None:
        """Ask it to save its work and end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._task.unlink(missing_ok=True)


def _same_package() -> dict[str, str]:
    """Return the variables by which a process imports the detkit of this one, whatever is in the current folder."""
    root = str(Path(detkit.__file__).resolve().parents[1])
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
