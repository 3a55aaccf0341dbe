from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from detkit.training.process.clock import CoreClock, processor_seconds


def use_processor(seconds: float, then_wait: float = 0.0) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))
    time.sleep(then_wait)


def test_the_clock_counts_this_process_and_its_living_and_ended_children() -> None:
    clock = CoreClock()
    use_processor(0.2)
    assert 60 * clock.minutes() >= 0.19
    before = processor_seconds()
    child = multiprocessing.get_context("fork").Process(target=use_processor, args=(0.3, 60.0))
    child.start()
    deadline = time.monotonic() + 50
    while processor_seconds() - before < 0.29 and time.monotonic() < deadline:
        time.sleep(0.02)
    living = processor_seconds() - before
    child.kill()
    child.join()
    ended = processor_seconds() - before
    assert living >= 0.29
    assert ended >= 0.29
    clock.add_previous(7.0)
    assert 7.0 < clock.minutes() < 8.0


def test_the_clock_measures_core_minutes_by_activity() -> None:
    clock = CoreClock()
    clock.add_previous(2.0, {"inner": 1.5, "other": 0.5})
    with clock.measure("outer"):
        use_processor(0.1)
        with clock.measure("inner"):
            use_processor(0.3)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: clock.measure("thread").__enter__()).result()
    parts = clock.parts()
    assert set(parts) == {"inner", "outer", "other"}
    assert 60 * (parts["inner"] - 1.5) == pytest.approx(0.3, abs=0.05)
    assert 60 * parts["outer"] == pytest.approx(0.1, abs=0.05)
    assert sum(parts.values()) == pytest.approx(clock.minutes(), abs=0.001)
