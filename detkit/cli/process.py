"""Settings of the process: signals, garbage collector, allocator. For the command line only: a library must not change its host's."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from detkit.machine import keep_freed_memory as keep_freed_memory

_ALLOCATIONS = 10_000
_STEPS = 20

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes of a command that was stopped by SIGINT or SIGTERM."""

_SAME_SIGNAL_SECONDS = 1.0
"""Seconds within which signals count as one: GNU timeout and batch systems send theirs to a process and then to its group."""


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; it is handled like Ctrl-C, so that what was computed is kept."""


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise :class:`KeyboardInterrupt` on SIGINT and :class:`Terminated` on SIGTERM inside the block, once for signals that come together.

    Outside the main thread, and for signals that the parent process set to be ignored, nothing changes.
    """
    owner, last = os.getpid(), -_SAME_SIGNAL_SECONDS

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if os.getpid() != owner:  # a forked worker ends as if it had no handler
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if time.monotonic() - last < _SAME_SIGNAL_SECONDS:
            return
        last = time.monotonic()
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    defaults: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    main = threading.current_thread() is threading.main_thread()
    replaced = [number for number, default in defaults.items() if main and signal.getsignal(number) == default]
    for number in replaced:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, defaults[number])


def announce_stop(action: str) -> None:
    """Print what a stopped command still does; another signal ends it."""
    print(f"detkit: stopping: {action}; again to stop now", file=sys.stderr, flush=True)


def collect_rarely() -> None:
    """Search for reference cycles less often, and not when the process ends.

    Importing torch creates a million objects that live as long as the process. By default they are searched hundreds of times during the
    import and once more at the end, which together takes a third of the time of a command that processes one image.
    """
    gc.set_threshold(_ALLOCATIONS, _STEPS, _STEPS)
    atexit.register(_skip_final_collection)


def _skip_final_collection() -> None:
    """Skip the collection at exit, unless a library would report the remaining objects as leaks.

    Libraries built with nanobind do, in thirty lines of output; the compiler shipped with PyTorch 2.15 is one of them.
    """
    if not any(kind.__module__ == "nanobind" for kind in type.__subclasses__(type)):
        gc.freeze()
