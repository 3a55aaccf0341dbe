from __future__ import annotations

import signal
import time
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
