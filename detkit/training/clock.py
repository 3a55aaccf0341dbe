"""Core-minutes: the processor time that a run has taken, over all its processes."""

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
"""What core-minutes are booked under that nothing else claims: start-up, reading the data, writing the results."""
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def processor_seconds() -> float:
    """User and system seconds of this process, of its children that have ended, and of those that live.

    Living children are read from ``/proc``; where there is none they count only once they have ended.
    """
    total = time.process_time()
    if sys.platform != "win32":
        import resource

        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        total += ended.ru_utime + ended.ru_stime
    return total + sum(_seconds_of(child.pid) for child in multiprocessing.active_children() if child.pid)


def _seconds_of(pid: int) -> float:
    """User and system seconds of a living process and its ended children; 0 if it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text[text.rindex(")") + 2 :].split()
    return sum(int(value) for value in fields[11:15]) / _TICK


class CoreClock:
    """Counts the core-minutes of a run, and what they were spent on, going on where an earlier part of it stopped.

    Args:
        whole_process: Count from the start of the process, imports included, as the command line does; otherwise from now.
    """

    def __init__(self, whole_process: bool = False) -> None:
        self._start = 0.0 if whole_process else processor_seconds()
        self._before = 0.0
        self._parts: dict[str, float] = {}
        self._part, self._booked = OTHER, 0.0

    def minutes(self) -> float:
        """Core-minutes of this process and its workers, earlier parts of the run included."""
        return self._before + (processor_seconds() - self._start) / 60

    def carry_on(self, minutes: float, parts: Mapping[str, float] | None = None) -> None:
        """Add what earlier parts of the run took, and on what."""
        self._before += minutes
        for name, taken in (parts or {}).items():
            self._parts[name] = self._parts.get(name, 0.0) + taken

    @contextmanager
    def spent_on(self, name: str) -> Iterator[None]:
        """Book what the block takes under a name; what a block inside it books is not of it. Threads beside the first book nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._book()
        outer, self._part = self._part, name
        try:
            yield
        finally:
            self._book()
            self._part = outer

    def parts(self) -> dict[str, float]:
        """Core-minutes by what they were spent on; together they are :meth:`minutes`."""
        self._book()
        return dict(self._parts)

    def _book(self) -> None:
        now = (processor_seconds() - self._start) / 60
        self._parts[self._part] = self._parts.get(self._part, 0.0) + now - self._booked
        self._booked = now
