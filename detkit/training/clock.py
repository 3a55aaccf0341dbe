"""Core-minutes: the processor time that a run has taken, over all its processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from pathlib import Path

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
    """Counts the core-minutes of a run, going on where an earlier part of it stopped.

    Args:
        whole_process: Count from the start of the process, imports included, as the command line does; otherwise from now.
    """

    def __init__(self, whole_process: bool = False) -> None:
        self._start = 0.0 if whole_process else processor_seconds()
        self._before = 0.0

    def minutes(self) -> float:
        """Core-minutes of this process and its workers, earlier parts of the run included."""
        return self._before + (processor_seconds() - self._start) / 60

    def carry_on(self, minutes: float) -> None:
        """Add what earlier parts of the run took."""
        self._before += minutes
