"""Batches: every request has its own answer, images wait no longer than they must, and one that fails fails alone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bright
import numpy as np
import pytest
from serving import BINARY, client, encoded, model, photo, until

from detkit.data.media.limits import VARIABLE
from detkit.serve.batching import Batcher, Job, Outcome
from detkit.serve.errors import ApiError, Problem


def images(count: int) -> list[np.ndarray]:
    """Different images of two sizes."""
    return [bright.image(60 + 20 * (number % 2), 130, red=(number, 3, number + 20, 40)) for number in range(count)]


class Gate:
    """A predictor that waits before it detects, and records its batches; it fails on images with a pixel of 13."""

    def __init__(self, *, closed: bool = False) -> None:
        self._predictor = bright.predictor(short_side=60)
        self.open, self.entered, self.batches = threading.Event(), threading.Event(), []
        if not closed:
            self.open.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def prepare(self, pixels: np.ndarray) -> Any:
        if pixels[0, 0, 0] == 13:
            raise RuntimeError("a failing image")
        return self._predictor.prepare(pixels)

    def detect(self, prepared: Any) -> Any:
        self.entered.set()
        assert self.open.wait(30)
        self.batches.append(len(prepared))
        return self._predictor.detect(prepared)


@pytest.fixture
def pool() -> Any:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def batcher(pool: Any, predictor: Any = None, *, max_batch: int = 4, limit: int = 64, max_wait: float = 0.05) -> Batcher:
    made = Batcher(model(predictor=predictor or Gate(), max_batch=max_batch), pool, limit=limit, max_wait=max_wait)
    made.start()
    assert made.ready.wait(30)
    made.model.predictor.batches.clear()
    return made


def job(pixels: np.ndarray) -> Job:
    return Job(encoded(pixels, "BMP"), "image", pixels.shape[0] * pixels.shape[1])


def test_each_of_many_concurrent_requests_has_its_own_answer() -> None:
    shown, direct = images(100), bright.predictor(short_side=60)
    predictor = Gate()
    with client(model(predictor=predictor, max_batch=8), queue=200) as web:

        def ask(pixels: np.ndarray) -> Any:
            return web.post("/v1/detect", content=encoded(pixels, "BMP"), headers=BINARY).json()

        with ThreadPoolExecutor(25) as threads:
            answers = list(threads.map(ask, shown))
    for pixels, answer in zip(shown, answers, strict=True):
        expected = [(row.label, pytest.approx(row.score, abs=1e-6), pytest.approx(list(row.box), abs=1e-3)) for row in direct(pixels)]
        assert [(row["label"], row["score"], row["box"]) for row in answer["detections"]] == expected
        assert (answer["image"]["height"], answer["image"]["width"]) == pixels.shape[:2]
    assert max(predictor.batches) > 1, "requests that come together share a batch"


def test_images_that_wait_run_together(pool: Any) -> None:
    predictor = Gate()
    running = batcher(pool, predictor)
    predictor.open.clear()
    jobs = [job(pixels) for pixels in images(7)]
    running.submit(jobs[:1])
    until(lambda: not len(running))
    running.submit(jobs[1:])
    predictor.open.set()
    outcomes = [one.result.result(30) for one in jobs]
    assert predictor.batches == [1, 4, 2]
    assert [outcome.batch_size for outcome in outcomes if isinstance(outcome, Outcome)] == [1, 4, 4, 4, 4, 2, 2]


def test_one_image_does_not_wait_on_an_idle_server(pool: Any) -> None:
    running = batcher(pool, max_wait=5.0)
    start = time.perf_counter()
    with running.announced():
        one = job(images(1)[0])
    running.submit([one])
    assert one.result.result(30).wait < 2
    assert time.perf_counter() - start < 2


def test_an_image_waits_for_those_that_are_being_received(pool: Any) -> None:
    running = batcher(pool, max_wait=20.0)
    first, second = (job(pixels) for pixels in images(2))
    with running.announced():
        running.submit([first])
        time.sleep(0.05)
        assert len(running) == 1
        running.submit([second])
    assert [one.result.result(10).batch_size for one in (first, second)] == [2, 2]


def test_an_image_waits_no_longer_than_the_bound(pool: Any) -> None:
    running = batcher(pool, max_wait=0.05)
    one = job(images(1)[0])
    with running.announced():
        running.submit([one])
        assert 0.04 < one.result.result(10).wait < 5


def test_a_full_batch_does_not_wait(pool: Any) -> None:
    running = batcher(pool, max_wait=20.0, max_batch=2)
    jobs = [job(pixels) for pixels in images(2)]
    with running.announced():
        running.submit(jobs)
        assert [one.result.result(10).batch_size for one in jobs] == [2, 2]


def test_an_image_that_fails_fails_alone(pool: Any, caplog: pytest.LogCaptureFixture) -> None:
    predictor = Gate()
    running = batcher(pool, predictor)
    bad = bright.image()
    bad[0, 0, 0] = 13
    good = [job(pixels) for pixels in images(2)]
    failing, cut = job(bad), Job(photo()[:-40], "image 4", 4800)
    predictor.open.clear()
    running.submit([blocker := job(images(1)[0])])
    until(lambda: not len(running))
    running.submit([good[0], failing, cut, good[1]])
    predictor.open.set()
    assert isinstance(blocker.result.result(30), Outcome)
    for one, pixels in zip(good, images(2), strict=True):
        assert one.result.result(30).rows.boxes.tolist() == bright.predictor(short_side=60)(pixels).boxes.tolist()
    assert failing.result.result(30).status == 500
    problem = cut.result.result(30)
    assert isinstance(problem, Problem)
    assert (problem.status, problem.message.startswith("image 4: ")) == (422, True)
    assert "a failing image" in caplog.text
    running.submit([after := job(images(1)[0])])
    assert isinstance(after.result.result(30), Outcome), "the thread goes on"


def test_a_full_queue_refuses_all_images_of_a_request(pool: Any) -> None:
    predictor = Gate()
    running = batcher(pool, predictor, max_batch=1, limit=3)
    predictor.open.clear()
    running.submit([job(images(1)[0])])
    until(lambda: not len(running))
    running.submit([job(images(1)[0]), job(images(1)[0])])
    with pytest.raises(ApiError) as caught:
        running.submit([job(images(1)[0]), job(images(1)[0])])
    assert (caught.value.problem.status, caught.value.problem.code) == (503, "overloaded")
    assert len(running) == 2
    running.submit([job(images(1)[0])])
    predictor.open.set()


def test_a_full_queue_is_503_with_the_time_to_wait() -> None:
    predictor = Gate()
    with client(model(predictor=predictor, max_batch=1), queue=2) as web, ThreadPoolExecutor(8) as threads:
        predictor.open.clear()

        def ask(_: int) -> Any:
            return web.post("/v1/detect", content=photo(), headers=BINARY)

        predictor.entered.clear()
        waiting = [threads.submit(ask, 0)]
        assert predictor.entered.wait(30), "the first runs; only then is there room for two"
        waiting += [threads.submit(ask, number) for number in (1, 2)]
        until(lambda: len(web.service.batchers["bright"]) == 2)
        refused = ask(0)
        ready = web.get("/ready")
        predictor.open.set()
        assert [one.result().status_code for one in waiting] == [200, 200, 200]
        assert web.get("/ready").status_code == 200
    assert (refused.status_code, refused.headers["retry-after"], refused.json()["error"]["code"]) == (503, "1", "overloaded")
    assert (ready.status_code, ready.json()["status"]) == (503, "the queue of the model bright is full")


def test_a_request_without_a_result_in_time_is_503_and_leaves_the_queue() -> None:
    predictor = Gate()
    with client(model(predictor=predictor, max_batch=1), timeout=0.5) as web, ThreadPoolExecutor(2) as threads:
        predictor.open.clear()
        answers = list(threads.map(lambda _: web.post("/v1/detect", content=photo(), headers=BINARY), range(2)))
        predictor.batches.clear()
        predictor.open.set()
        assert web.post("/v1/detect", content=photo(), headers=BINARY).status_code == 200
        assert predictor.batches == [1, 1], "the one that ran, and the new one; not the one that no client waits for"
    assert {(row.status_code, row.json()["error"]["code"]) for row in answers} == {(503, "timeout")}


def test_images_of_a_batch_have_no_more_pixels_than_one_image_may(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Gate()
    running = batcher(pool, predictor)
    predictor.open.clear()
    jobs = [job(pixels) for pixels in [images(1)[0]] * 5]
    monkeypatch.setenv(VARIABLE, str(2 * jobs[0].pixels))
    running.submit(jobs[:1])
    until(lambda: not len(running))
    running.submit(jobs[1:])
    until(lambda: jobs[2].decoded is not None or jobs[1].decoded is None)
    predictor.open.set()
    for one in jobs:
        assert isinstance(one.result.result(30), Outcome)
    assert predictor.batches == [1, 2, 2]


def test_the_next_images_are_decoded_while_a_batch_runs(pool: Any) -> None:
    predictor = Gate()
    running = batcher(pool, predictor, max_batch=2)
    predictor.open.clear()
    jobs = [job(pixels) for pixels in images(12)]
    running.submit(jobs)
    until(lambda: jobs[3].decoded is not None)
    assert jobs[2].decoded is not None
    assert jobs[4].decoded is None, "not all of them: decoded images need memory"
    predictor.open.set()
    assert all(isinstance(one.result.result(30), Outcome) for one in jobs)


def test_stopping_finishes_what_waits_and_accepts_nothing(pool: Any) -> None:
    predictor = Gate()
    running = batcher(pool, predictor)
    predictor.open.clear()
    jobs = [job(pixels) for pixels in images(6)]
    running.submit(jobs)
    stopper = threading.Thread(target=running.stop, args=(30,))
    stopper.start()
    until(lambda: running._stopping)
    with pytest.raises(ApiError, match="stopping"):
        running.submit([job(images(1)[0])])
    predictor.open.set()
    stopper.join(30)
    assert all(isinstance(one.result.result(0), Outcome) for one in jobs)
    assert not running._thread.is_alive()


def test_a_model_that_cannot_run_is_not_ready(pool: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Gate):
        def prepare(self, pixels: np.ndarray) -> Any:
            raise RuntimeError("no memory on the device")

    made = Batcher(model(predictor=Failing()), pool, limit=4, max_wait=0.01)
    made.start()
    until(lambda: "its first detection failed" in caplog.text)
    assert not made.ready.is_set()
    assert "no memory on the device" in caplog.text
    made.stop(5)
