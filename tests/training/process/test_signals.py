from __future__ import annotations

import logging
import os
import signal
import threading
import time
import zlib
from collections.abc import Iterator

import pytest

from detkit.training.process.signals import SAME_SIGNAL_SECONDS, StopSignals


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Give SIGINT its effect in a terminal; shells make background processes ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_simultaneous_signals_count_as_one_and_a_later_one_takes_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    before, signals = signal.getsignal(signal.SIGINT), StopSignals()
    with signals:
        assert signals.received is None
        signal.raise_signal(signal.SIGTERM)
        now[0] += SAME_SIGNAL_SECONDS / 2
        signal.raise_signal(signal.SIGTERM)  # otherwise the process would end here
        signal.raise_signal(signal.SIGINT)
        assert signals.received == "SIGTERM"
        now[0] += SAME_SIGNAL_SECONDS
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.usefixtures("ctrl_c")
def test_a_request_is_acknowledged_while_python_runs_no_handler(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    data = os.urandom(20_000_000)
    with StopSignals() as signals:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        zlib.compress(data, 9)  # one call, within which no handler runs
        ended = time.time()
        assert signals.received == "SIGINT"
        signal.raise_signal(signal.SIGTERM)  # part of the same request
    assert caplog.messages == ["SIGINT: stopping after this step and saving the run; again to stop now"]
    assert caplog.records[0].created < ended - 0.05
    assert not [thread for thread in threading.enumerate() if thread.name == "stop-signals"]


def test_nothing_is_done_outside_the_main_thread() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def enter() -> None:
        with StopSignals() as signals:
            seen.append((signal.getsignal(signal.SIGTERM), signals.is_stopping()))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
