"""Core-minutes: the processor time of a run, summed over all its processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

OTHER = "other"
"""Name of the core-minutes outside any measured block: start-up, reading the data, writing the results."""
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def processor_seconds() -> float:
    """Return the user and system seconds of this process and of its children, both ended and living.

    Living children are read from ``/proc``. On systems without it, children count only once they have ended.
    """
    total = time.process_time()
    if sys.platform != "win32":
        import resource

        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        total += ended.ru_utime + ended.ru_stime
    return total + sum(_seconds_of(child.pid) for child in multiprocessing.active_children() if child.pid)


def _seconds_of(pid: int) -> float:
    """Return the user and system seconds of a living process and its ended children; 0 if they cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text[text.rindex(")") + 2 :].split()
    return sum(int(value) for value in fields[11:15]) / _TICKS_PER_SECOND


class CoreClock:
    """Counter of the core-minutes of a run, in total and by activity; a resumed run continues the count.

    Args:
        whole_process: Count from the start of the process, imports included, as the command line does; otherwise from now.
    """

    def __init__(self, whole_process: bool = False) -> None:
        self._start = 0.0 if whole_process else processor_seconds()
        self._previous = 0.0
        self._previous_wall, self._start_wall = 0.0, time.monotonic()
        self._parts: dict[str, float] = {}
        self._current, self._recorded = OTHER, 0.0

    def minutes(self) -> float:
        """Return the core-minutes of this process and its workers, including those before a resume."""
        return self._previous + (processor_seconds() - self._start) / 60

    def wall_minutes(self) -> float:
        """Return the minutes of wall time of this session and, if the run was resumed, of the earlier ones."""
        return self._previous_wall + (time.monotonic() - self._start_wall) / 60

    def add_previous(self, minutes: float, parts: Mapping[str, float] | None = None, wall: float = 0.0) -> None:
        """Add the core-minutes that the run used before it was resumed, in total and by activity, and its wall time."""
        self._previous += minutes
        self._previous_wall += wall
        for name, value in (parts or {}).items():
            self._parts[name] = self._parts.get(name, 0.0) + value

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Count the core-minutes of the block under a name, without those of blocks nested in it.

        Blocks in threads other than the main thread are not measured separately.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._record()
        outer, self._current = self._current, name
        try:
            yield
        finally:
            self._record()
            self._current = outer

    def parts(self) -> dict[str, float]:
        """Return the core-minutes by activity; their sum equals :meth:`minutes`."""
        self._record()
        return dict(self._parts)

    def _record(self) -> None:
        now = (processor_seconds() - self._start) / 60
        self._parts[self._current] = self._parts.get(self._current, 0.0) + now - self._recorded
        self._recorded = now
