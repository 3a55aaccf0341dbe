"""Stop a run on Ctrl-C or SIGTERM after the current step; the request is acknowledged at once."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

_log = logging.getLogger(__name__)

SAME_SIGNAL_SECONDS = 1.0
"""Seconds within which signals count as one: GNU timeout and batch systems send theirs to a process and then to its group."""
STOPPING = "%s: stopping after this step and saving the run; again to stop now"
"""The acknowledgement, with the name of the signal."""
_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Context manager in which the first SIGINT or SIGTERM sets ``received`` and is logged; a later one has its usual effect.

    Python calls a handler of signals between two of its own operations, so that of a long backward pass would come late. A thread that
    the system wakes logs the request at once. Outside the main thread, where Python allows no signal handlers, nothing is done.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._first: float | None = None
        self._previous: dict[signal.Signals, Any] = {}
        self._wakeup: tuple[int, socket.socket, threading.Thread] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _STOPPING_SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
            self._start_watching()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()
        if self._wakeup is not None:
            previous, writer, thread = self._wakeup
            signal.set_wakeup_fd(previous)
            writer.close()  # ends the thread
            thread.join(timeout=1.0)
            self._wakeup = None

    def is_stopping(self) -> bool:
        """Return whether the run was asked to stop."""
        return self.received is not None

    def _start_watching(self) -> None:
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        thread = threading.Thread(target=_acknowledge, args=(reader,), name="stop-signals", daemon=True)
        thread.start()
        self._wakeup = previous, writer, thread

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self.received, self._first = signal.Signals(number).name, now
        elif now - self._first > SAME_SIGNAL_SECONDS:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


def _acknowledge(reader: socket.socket) -> None:
    """Log the first stopping signal among those whose numbers arrive."""
    acknowledged = False
    with reader:
        while numbers := reader.recv(64):
            stopping = [number for number in numbers if number in _STOPPING_SIGNALS]
            if stopping and not acknowledged:
                acknowledged = True
                _log.info(STOPPING, signal.Signals(stopping[0]).name)
