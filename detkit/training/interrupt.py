"""Ctrl-C and SIGTERM ask a run to stop after the step it is making."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

TOGETHER = 1.0
"""Seconds within which signals count as one: GNU timeout and batch systems send theirs to a process and then to its group."""


class StopSignals:
    """While it is entered, the first SIGINT or SIGTERM sets ``received``; a later one acts as it always does.

    Outside the main thread, where Python takes no handlers, it never fires.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._first: float | None = None
        self._old: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self.received, self._first = signal.Signals(number).name, now
        elif now - self._first > TOGETHER:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._old = {}
