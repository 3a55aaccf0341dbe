from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from detkit.training.interrupt import TOGETHER, StopSignals


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT acts as on a terminal; shells have processes in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_signals_that_come_together_are_one_and_a_later_one_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    before, signals = signal.getsignal(signal.SIGINT), StopSignals()
    with signals:
        assert signals.received is None
        signal.raise_signal(signal.SIGTERM)
        now[0] += TOGETHER / 2
        signal.raise_signal(signal.SIGTERM)  # else the process would end here
        signal.raise_signal(signal.SIGINT)
        assert signals.received == "SIGTERM"
        now[0] += TOGETHER
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
