"""What is shown of a run: in terminals, in those of unknown size, and in log files."""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Iterator
from typing import TextIO

import pytest

from detkit.training.hooks import Record
from detkit.training.progress_bar import ProgressBar, TimeLeft, format_duration, has_terminal


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test sets."""
    seconds = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    return seconds


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    if sys.platform == "win32":
        pytest.skip("needs a pseudo-terminal")
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as stream:
        yield stream
    os.close(leader)


def resize(stream: TextIO, rows: int, columns: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def record(step: int, progress: float) -> Record:
    return Record(step, progress, {"total": 1.5}, 0.1, 1.0, 4 * step, 0.5, 0.1, 0.0)


def test_a_terminal_of_unknown_width_shows_lines(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    resize(terminal, 24, 80)
    assert has_terminal()
    resize(terminal, 0, 0)
    assert not has_terminal()


def test_the_time_left_counts_from_the_resume(now: list[float]) -> None:
    left = TimeLeft(0.90)
    assert left(0.90) == "?"
    now[0] += 100
    assert left(0.91) == "0:15:00"
    assert format_duration(3725.4) == "1:02:05"


def test_lines_of_a_resumed_run(now: list[float], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.training.progress_bar.has_terminal", lambda: False)
    caplog.set_level("INFO")
    bar = ProgressBar(every_seconds=30)
    bar.start(900)
    bar.after_step(901, 0.901)
    now[0] += 31
    bar.after_step(902, 0.902)
    bar.record(record(902, 0.902))
    bar.record(record(902, 0.902))  # too early for another line
    assert caplog.messages == ["step 902, 90 %, 0:50:38 left: total 1.500 lr 0.1"]
    bar.evaluating(0, 10)
    now[0] += 32
    bar.evaluating(1, 10)
    now[0] += 1
    bar.evaluating(2, 10)
    bar.close()
    assert caplog.messages[1:] == ["validation: 1 of 10 images, 0:04:48 left"]


def test_bars_of_a_terminal(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    resize(terminal, 24, 120)
    bar = ProgressBar()
    bar.start(0)
    bar.after_step(1, 0.5)
    bar.record(record(1, 0.5))
    assert not bar._bar.disable
    assert "left, total 1.500" in str(bar._bar)
    bar.evaluating(0, 2)
    bar.evaluating(1, 2)
    assert "validation:  50%" in str(bar._evaluation_bar)
    bar.evaluating(2, 2)
    bar.close()
