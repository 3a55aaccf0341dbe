"""The progress of a run on the screen: bars in a terminal, log lines at intervals elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import ExitStack
from typing import Any

from detkit.training.hooks import Hook, Record

_log = logging.getLogger(__name__)


def format_duration(seconds: float) -> str:
    """Return seconds as ``h:mm:ss``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def has_terminal() -> bool:
    """Return whether stderr is a terminal whose width is known; that of some containers is 0, where a bar would be invisible."""
    try:
        return sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError, AttributeError):  # closed, or not a file
        return False


class TimeLeft:
    """Estimate of the remaining time of a task that may have begun earlier, from the progress since now.

    Args:
        progress: Fraction of the task that is done.
    """

    def __init__(self, progress: float = 0.0) -> None:
        self._first, self._started = progress, time.monotonic()

    def __call__(self, progress: float) -> str:
        """Return the remaining time as ``h:mm:ss``, or ``?`` if nothing was done yet."""
        done = progress - self._first
        return format_duration((time.monotonic() - self._started) * (1 - progress) / done) if done > 0 else "?"


class ProgressBar(Hook):
    """Progress bars with percentage, remaining time and losses; log lines at intervals if the output is not a terminal.

    Args:
        every_seconds: Seconds between two log lines.
    """

    def __init__(self, every_seconds: float = 30.0) -> None:
        self.every_seconds = every_seconds
        self._bar: Any = None
        self._evaluation_bar: Any = None
        self._left: TimeLeft | None = None
        self._evaluation_left = TimeLeft()
        self._last_logged = time.monotonic()
        self._open = ExitStack()

    def start(self, step: int, stage: int = 0) -> None:
        """Show the bar; log lines appear above it."""
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        self._left, self._last_logged = None, time.monotonic()
        bar_format = "{l_bar}{bar}| {elapsed}{postfix}"
        self._bar = tqdm(total=100, unit="%", bar_format=bar_format, disable=not has_terminal(), dynamic_ncols=True, leave=True)
        if not self._bar.disable:
            self._open.enter_context(logging_redirect_tqdm([logging.getLogger("detkit")]))

    def after_step(self, step: int, progress: float) -> None:
        """Move the bar."""
        if self._left is None:
            self._left = TimeLeft(progress)
        self._bar.set_description(f"step {step}", refresh=False)
        self._bar.update(max(0.0, min(100 * progress, 100.0) - self._bar.n))

    def record(self, record: Record) -> None:
        """Show the remaining time and the losses."""
        losses = " ".join(f"{name} {value:.3f}" for name, value in record.losses.items())
        left = self._left(record.progress) if self._left else "?"
        self._bar.set_postfix_str(f"{left} left, {losses} lr {record.lr:.2g}", refresh=False)
        if self._bar.disable and self._is_line_due():
            _log.info("step %d, %.0f %%, %s left: %s lr %.3g", record.step, 100 * record.progress, left, losses, record.lr)

    def evaluating(self, done: int, images: int) -> None:
        """Show the progress of a validation in a bar of its own."""
        from tqdm import tqdm

        if done == 0:
            self._evaluation_left = TimeLeft()
            self._evaluation_bar = tqdm(total=images, desc="validation", unit="image", disable=not has_terminal(), leave=False)
            return
        self._evaluation_bar.update(done - self._evaluation_bar.n)
        if self._evaluation_bar.disable:
            if self._is_line_due():
                _log.info("validation: %d of %d images, %s left", done, images, self._evaluation_left(done / images))
        elif done == images:
            self._evaluation_bar.close()

    def close(self) -> None:
        """Close the bars and leave that of the steps on the screen."""
        self._open.close()
        for bar in (self._evaluation_bar, self._bar):
            if bar is not None:
                bar.close()

    def _is_line_due(self) -> bool:
        now = time.monotonic()
        due = now - self._last_logged >= self.every_seconds
        self._last_logged = now if due else self._last_logged
        return due
