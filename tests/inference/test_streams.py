"""Detection on several sources at once: fairness, latency, errors, and what is left after the end."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bright import predictor
from scripted import Counting, Scripted
from stream_server import END, StreamServer, jpeg, mjpeg, part, stream
from videos import film

from detkit.data.live.open import open_source
from detkit.data.media.source import FrameSource
from detkit.data.media.video import Video
from detkit.inference import FrameResult, detect_streams

ROOT = Path(__file__).resolve().parents[2]


def run(model: Any, *sources: FrameSource, **options: Any) -> list[FrameResult[int]]:
    return list(detect_streams(model, sources, **options))


def indices(results: Sequence[FrameResult[Any]], source: FrameSource) -> list[int]:
    return [result.frame.index for result in results if result.source is source and result.frame is not None]


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("reader of")]


@pytest.fixture(autouse=True)
def no_threads_are_left() -> Iterator[None]:
    yield
    assert not readers()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_the_batches_of_a_file_are_always_the_same(size: int) -> None:
    steps = itertools.chain.from_iterable((number, 0.001 * (number % 3)) for number in range(11))
    model = Counting(size)
    assert indices(run(model, source := Scripted("a", *steps)), source) == list(range(11))
    assert [len(batch) for batch in model.batches] == [size] * (11 // size) + [11 % size] * (11 % size > 0)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_sources_take_turns(size: int) -> None:
    started = threading.Event()
    sources = [Scripted(str(first), started, *range(first, first + 20)) for first in (0, 50, 100)]
    model = Counting(size, lambda: wait_for(lambda: all(source.given >= min(20, count) for source in sources)))
    count = 2
    seen: Counter[str] = Counter()
    threading.Timer(0.01, started.set).start()
    for result in detect_streams(model, sources):
        seen[result.source.name] += 1
        count = 2 + max(seen.values())
        assert max(seen.values()) - min(seen[source.name] for source in sources) <= 2 * size
    assert set(seen.values()) == {20}
    assert all(len(batch) == size for batch in model.batches[:-3])


def test_frames_of_several_sources_share_a_batch() -> None:
    started = threading.Event()
    sources = [Scripted(str(first), started, first, threading.Event(), live=True) for first in (0, 50, 100)]
    model = Counting(8, started.set)
    results = detect_streams(model, [Scripted("first", 7, live=True), *sources])
    assert next(results).detections == 7
    wait_for(lambda: all(source.given for source in sources))
    assert sorted(result.detections or 0 for result in itertools.islice(results, 3)) == [0, 50, 100]
    assert len(model.batches) <= 4
    for source in sources:
        source.steps[2].set()  # type: ignore[union-attr]
    assert not list(results)


def test_a_live_frame_does_not_wait_for_a_file() -> None:
    """A file over a network that stalls, and a full batch of 8 that never comes."""
    stalled = threading.Event()
    file, camera = Scripted("file", 1, stalled, 2), Scripted("camera", 5, 6, live=True)
    results = detect_streams(Counting(8), [file, camera])
    first = [next(results).detections for _ in range(3)]
    assert sorted(first) == [1, 5, 6]
    stalled.set()
    assert [result.detections for result in results] == [2]


def test_late_frames_are_dropped_when_they_are_taken() -> None:
    """Five frames come at once and wait while the detector is busy; nothing comes after them."""
    arrived, ended = threading.Event(), threading.Event()
    source = Scripted("camera", 0, arrived, 1, 2, 3, 4, 5, ended, live=True)

    def busy() -> None:
        arrived.set()
        wait_for(lambda: source.given == 6)
        time.sleep(0.3)

    results = detect_streams(Counting(1, busy), [source], max_latency=0.25)
    assert [(result.detections, result.dropped) for result in itertools.islice(results, 2)] == [(0, 0), (5, 4)]
    ended.set()
    assert not list(results)


@pytest.mark.parametrize(("latency", "expected"), [(0.0, [0, 20]), (60.0, list(range(21))), (float("inf"), list(range(21)))])
def test_max_latency(latency: float, expected: list[int]) -> None:
    """0: the newest frame alone; long: all that have not waited for too long; infinite: the source waits instead."""
    started, ended = threading.Event(), threading.Event()
    source = Scripted("camera", 0, started, *range(1, 21), ended, live=True)
    room = 2 if latency == float("inf") else 20

    def busy() -> None:
        started.set()
        wait_for(lambda: source.given > room)

    results = detect_streams(Counting(1, busy), [source], max_latency=latency)
    taken = list(itertools.islice(results, len(expected)))
    assert [result.detections for result in taken] == expected
    assert taken[-1].dropped == 21 - len(expected)
    ended.set()
    assert not list(results)


def test_a_clip_that_is_sent_at_once_loses_nothing() -> None:
    with StreamServer() as server:
        source = open_source(server.add("/clip", stream(*mjpeg(60, 17), END)))
        results = run(Counting(1, lambda: time.sleep(0.02)), source, max_latency=0.1)
    assert indices(results, source) == [index for index in range(60) if index != 17]
    assert (source.lost, results[-1].dropped) == (1, 0)


def test_a_camera_in_real_time_does_not_lag() -> None:
    with StreamServer() as server:
        steps = itertools.chain.from_iterable((data, 0.04) for data in mjpeg(50))
        source = open_source(server.add("/camera", stream(*steps, END)))
        results = run(Counting(1, lambda: time.sleep(0.12)), source, max_latency=0.1)
    taken = indices(results, source)
    assert taken == sorted(taken)
    assert taken[-1] == 49
    assert results[-1].dropped > 10
    assert len(taken) + results[-1].dropped == 50


def test_errors_of_one_source_do_not_end_the_others() -> None:
    bad, worse, good = Scripted("bad", 1, 2, OSError("cut")), Scripted("worse", ValueError("no")), Scripted("good", *range(20, 40))
    results = run(Counting(4), bad, good, worse)
    assert indices(results, good) == list(range(20, 40))
    assert indices(results, bad) == [1, 2]
    errors = {result.source.name: str(result.error) for result in results if result.error is not None}
    assert errors == {"bad": "cut", "worse": "no"}
    assert [result.source.name for result in results if result.source is bad][-1:] == ["bad"]
    assert next(result for result in reversed(results) if result.source is bad).error is not None
    assert not run(Counting(4))


def test_an_error_of_the_detector_ends_the_threads() -> None:
    def broken() -> None:
        raise RuntimeError("out of memory")

    source = Scripted("a", *range(100))
    with pytest.raises(RuntimeError, match="out of memory"):
        run(Counting(2, broken), source)
    assert source.closed


@pytest.mark.parametrize("live", [True, False])
def test_closing_early_leaves_nothing(tmp_path: Path, live: bool) -> None:
    with StreamServer() as server:
        endless = stream(*[*mjpeg(10), 0.005] * 2000)
        silent = stream(*mjpeg(1), part(jpeg(1))[:50], threading.Event())
        sources: list[FrameSource] = [Video(film(tmp_path / "a.mp4", frames=300))]
        if live:
            sources += [open_source(server.add("/endless", endless)), open_source(server.add("/silent", silent))]
        results = detect_streams(Counting(2), sources)
        for _ in range(5):
            next(results)
        begin = time.monotonic()
        results.close()
        assert time.monotonic() - begin < 5
        wait_for(lambda: server.open_connections == 0)
    assert not readers()


def test_a_source_that_hangs_does_not_hang_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.inference.frame_readers._CLOSE_SECONDS", 0.3)
    hanging = threading.Event()
    results = detect_streams(
        Counting(2), [Scripted("hangs", 1, hanging, live=True), Scripted("b", 2, 3)]
    )  # the last frame makes no full batch
    assert sorted(next(results).detections or 0 for _ in range(3)) == [1, 2, 3]
    results.close()
    assert [thread.name for thread in readers()] == ["reader of hangs"]
    hanging.set()
    wait_for(lambda: not readers())


HANGING = """
import sys, threading
sys.path.insert(0, {folder!r})
from scripted import Counting, Scripted
from detkit.inference import detect_streams

source = Scripted("hangs", 1, threading.Event(), live=True)
for result in detect_streams(Counting(), [source]):
    print(result.detections, flush=True)
    if "stop" in sys.argv:
        sys.exit(3)
"""


@pytest.mark.parametrize("interrupted", [True, False])
def test_the_process_ends_although_a_source_hangs(tmp_path: Path, interrupted: bool) -> None:
    script = tmp_path / "hanging.py"
    script.write_text(HANGING.format(folder=str(Path(__file__).parent)))
    command = [sys.executable, str(script), *([] if interrupted else ["stop"])]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n", process.communicate()[1]
        if interrupted:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == (-signal.SIGINT if interrupted else 3)
    assert ("KeyboardInterrupt" in errors) == interrupted


def test_memory_is_flat() -> None:
    """10,000 frames, of a file and of a live source."""
    file, camera = Scripted("file", *range(7000)), Scripted("camera", *range(3000), live=True)
    most = 0
    for number, result in enumerate(detect_streams(Counting(4), [file, camera], max_latency=0.01)):
        most = max(most, len(file.alive)) if number % 50 == 0 else most
        last = result
    assert last.dropped + number + 1 >= 7000
    assert (file.given, camera.given) == (7000, 3000)
    assert most <= 2 * 2 * 4 + 4
    del last, result
    assert not [*file.alive, *camera.alive]


def test_the_frames_of_a_live_source_that_wait_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.inference.frame_readers._MAX_LIVE_BYTES", 50 * 12)
    started, ended = threading.Event(), threading.Event()
    source = Scripted("camera", 0, started, *range(1, 200), ended, live=True)

    def busy() -> None:
        started.set()
        wait_for(lambda: source.given == 200)

    results = detect_streams(Counting(1, busy), [source], max_latency=60.0)
    assert [next(results).detections for _ in range(51)] == [0, *range(150, 200)]
    assert len(source.alive) <= 2
    ended.set()
    assert not list(results)


def test_arguments_are_checked() -> None:
    for options, message in (
        ({"every": 0}, "every: expected 1 or more"),
        ({"max_latency": -1.0}, "max_latency: expected 0 seconds or more"),
    ):
        with pytest.raises(ValueError, match=message):
            run(Counting(), Scripted("a", 1), **options)


def test_detections_of_two_videos_are_those_of_each(tmp_path: Path) -> None:
    videos = [Video(film(tmp_path / name, frames=frames)) for name, frames in (("a.mp4", 7), ("b.mp4", 4))]
    single, shared = predictor(60), predictor(60, batch_size=3)
    results: list[FrameResult[Any]] = list(detect_streams(shared, videos, every=2))
    assert [indices(results, video) for video in videos] == [[0, 2, 4, 6], [0, 2]]
    for result in results:
        assert result.frame is not None
        assert np.array_equal(result.detections.boxes, single(result.frame.pixels).boxes)
