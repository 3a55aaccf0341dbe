"""Collecting the images of concurrent requests into batches, on one thread per model."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from detkit.arrays import ImageArray, Size
from detkit.data.media.limits import max_pixels
from detkit.serve.decoding import decode
from detkit.serve.errors import Problem, unavailable
from detkit.serve.metrics import SECONDS, SIZES, Histogram
from detkit.serve.models import Model
from detkit.structures.detection import DetectionArrays

_WARM_UP_SIZE = (480, 640, 3)
_log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """Result of an image; times in seconds.

    Attributes:
        rows: All detections, best first.
        size: ``(height, width)`` of the image.
        wait: From the queue to the start of its batch.
        decode: Decoding of the file.
        detect: Detection on the batch.
        batch_size: Number of images in the batch.
    """

    rows: DetectionArrays
    size: Size
    wait: float
    decode: float
    detect: float
    batch_size: int


class Decoded(NamedTuple):
    """A decoded image, or why there is none, and the seconds that it took."""

    pixels: ImageArray | Problem
    seconds: float


class Job:
    """An image that waits for its detections.

    Args:
        data: Bytes of the file.
        label: Name of the image in messages.
        pixels: Number of its pixels.

    Attributes:
        result: The detections, or why there are none.
    """

    def __init__(self, data: bytes, label: str, pixels: int) -> None:
        self.data, self.label, self.pixels = data, label, pixels
        self.result: Future[Outcome | Problem] = Future()
        self.decoded: Future[Decoded] | None = None
        self.submitted = time.perf_counter()

    def start_decoding(self, pool: Executor) -> Future[Decoded]:
        """Decode on another thread, once."""
        if self.decoded is None:
            self.decoded = pool.submit(_timed_decode, self.data, self.label)
        return self.decoded


def _timed_decode(data: bytes, label: str) -> Decoded:
    start = time.perf_counter()
    return Decoded(decode(data, label), time.perf_counter() - start)


class BatchMetrics:
    """Sizes and times of the batches of all models."""

    def __init__(self) -> None:
        self.sizes = Histogram("detkit_batch_size", "Images of a batch.", ("model",), SIZES)
        self.seconds = Histogram("detkit_detect_seconds", "Time of the detection on a batch.", ("model",), SECONDS)


class Batcher:
    """Runs a model on a thread of its own, on as many of the waiting images as fit into a batch.

    An image that finds the thread idle runs at once, unless other requests for the model are being received: then it waits for them, at
    most ``max_wait``. Images that arrive while a batch runs form the next one, and are decoded meanwhile.

    Args:
        model: The model.
        pool: Threads that decode.
        limit: Most images that wait.
        max_wait: Longest time that a batch waits for further images, in seconds.
        turn: Held while the model runs, so that models on one processor do not slow each other down.
        metrics: Where batches are counted.

    Attributes:
        ready: Set when the model has run once.
    """

    def __init__(
        self,
        model: Model,
        pool: Executor,
        *,
        limit: int,
        max_wait: float,
        turn: AbstractContextManager[Any] | None = None,
        metrics: BatchMetrics | None = None,
    ) -> None:
        self.model, self.limit, self._metrics = model, limit, metrics or BatchMetrics()
        self._pool, self._max_wait, self._turn = pool, max_wait, turn or nullcontext()
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._announced = 0
        self._stopping = False
        self.ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"detkit-serve-{model.name}", daemon=True)

    def __len__(self) -> int:
        return len(self._jobs)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Accept no more images, and wait at most some seconds until those that wait have their results."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Let a batch wait for a request that is being received in the block."""
        with self._changed:
            self._announced += 1
        try:
            yield
        finally:
            with self._changed:
                self._announced -= 1
                self._changed.notify_all()

    def check_room(self, count: int = 1) -> None:
        """Check that more images may wait.

        Raises:
            ApiError: If too many wait, or the server stops.
        """
        if self._stopping:
            raise unavailable("stopping", "the server is stopping")
        if len(self._jobs) + count > self.limit:
            raise unavailable("overloaded", f"{len(self._jobs)} images wait already")

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue the images of a request, all or none.

        Raises:
            ApiError: If too many wait, or the server stops.
        """
        with self._changed:
            self.check_room(len(jobs))
            self._jobs.extend(jobs)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._warm_up()
            self.ready.set()
        except Exception:
            _log.exception("model %s: its first detection failed; the server is not ready", self.model.name)
        while group := self._next_group():
            try:
                self._process(group)
            except Exception:  # the thread must go on
                _log.exception("model %s: a batch failed", self.model.name)
                for job in group:
                    _resolve(job, _internal(job.label))

    def _warm_up(self) -> None:
        """Detect twice: the first image of a process compiles, the second runs as all others do."""
        noise = np.random.default_rng(0).integers(0, 256, _WARM_UP_SIZE, dtype=np.uint8)
        for _ in range(2):
            self._detect([noise] * self.model.max_batch)

    def _next_group(self) -> list[Job]:
        """Wait for images, and return those that run together; none when the server stops and none are left."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._jobs or self._stopping)
                if not self._jobs:
                    return []
                self._changed.wait_for(self._is_complete, self._max_wait)
                group = self._take()
                if group:
                    break
            ahead = _fitting(islice(self._jobs, max(self.model.max_batch, 2)))
        for job in (*group, *ahead):
            job.start_decoding(self._pool)
        return group

    def _is_complete(self) -> bool:
        """Whether nothing would be gained by waiting for further images."""
        return len(self._jobs) >= self.model.max_batch or not self._announced or self._stopping

    def _take(self) -> list[Job]:
        """Remove the next images from the queue, without those that no client waits for any more."""
        count = len(_fitting(islice(self._jobs, self.model.max_batch)))
        group = [self._jobs.popleft() for _ in range(count)]
        return [job for job in group if job.result.set_running_or_notify_cancel()]

    def _process(self, group: list[Job]) -> None:
        start = time.perf_counter()
        decoded = [(job, job.start_decoding(self._pool).result()) for job in group]
        for job, (problem, _) in decoded:
            if isinstance(problem, Problem):
                _resolve(job, problem)
        usable = [(job, pixels, seconds) for job, (pixels, seconds) in decoded if not isinstance(pixels, Problem)]
        if not usable:
            return
        begin = time.perf_counter()
        results = self._detect_each([pixels for _, pixels, _ in usable])
        elapsed = time.perf_counter() - begin
        self._metrics.sizes.observe(len(usable), self.model.name)
        self._metrics.seconds.observe(elapsed, self.model.name)
        for (job, pixels, seconds), rows in zip(usable, results, strict=True):
            size, wait = (pixels.shape[0], pixels.shape[1]), max(start - job.submitted, 0.0)
            _resolve(job, _internal(job.label) if rows is None else Outcome(rows, size, wait, seconds, elapsed, len(usable)))

    def _detect_each(self, images: list[ImageArray]) -> Sequence[DetectionArrays | None]:
        """Return the detections of each image, or None where the detection fails; one image does not fail the others."""
        try:
            return self._detect(images)
        except Exception:
            if len(images) == 1:
                _log.exception("model %s: the detection failed on an image of shape %s", self.model.name, images[0].shape)
                return [None]
        return [row for image in images for row in self._detect_each([image])]

    def _detect(self, images: list[ImageArray]) -> list[DetectionArrays]:
        predictor = self.model.predictor
        with self._turn:
            return [rows.numpy() for rows in predictor.detect([predictor.prepare(image) for image in images])]


def _fitting(jobs: Iterator[Job]) -> list[Job]:
    """Return the first jobs that together have at most as many pixels as one image may have, and at least one job."""
    chosen: list[Job] = []
    total = 0
    for job in jobs:
        total += job.pixels
        if chosen and total > max_pixels():
            break
        chosen.append(job)
    return chosen


def _resolve(job: Job, result: Outcome | Problem) -> None:
    if not job.result.done():
        job.result.set_result(result)


def _internal(label: str) -> Problem:
    return Problem(500, "internal", f"{label}: the detection failed; the log of the server has the reason")
