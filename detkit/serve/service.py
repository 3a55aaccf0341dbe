"""The running parts of a server: models with their threads, limits, metrics."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from detkit.data.media.limits import max_pixels
from detkit.serve.batching import Batcher, BatchMetrics
from detkit.serve.metrics import SECONDS, Gauge, Histogram, Metric
from detkit.serve.models import Model
from detkit.serve.schemas import Limits, ModelInfo
from detkit.serve.settings import Settings
from detkit.serve.uploads import UploadMemory

_MAX_DECODERS = 4
_STATUS = Path("/proc/self/statm")


class Service:
    """The models of a server, with all that requests share.

    Args:
        models: The models; the first is the default.
        settings: Limits and access.

    Attributes:
        batchers: The thread of each model, by name.
        pool: Threads that parse and decode.
        memory: Memory of the bodies of requests.
        stopping: Whether the server was asked to stop.
        abandoned: Whether requests that still wait are answered without a result.
    """

    def __init__(self, models: Sequence[Model], settings: Settings | None = None) -> None:
        if not models:
            raise ValueError("models: expected at least one")
        self.settings = settings or Settings()
        self.pool = ThreadPoolExecutor(min(_MAX_DECODERS, os.cpu_count() or 1), thread_name_prefix="detkit-serve-decode")
        self.memory = UploadMemory(self.settings.upload_memory)
        self.stopping = self.abandoned = False
        self.batches = BatchMetrics()
        processor = threading.Lock()
        self.batchers = {model.name: self._batcher(model, processor) for model in models}
        self.requests = Metric("detkit_requests_total", "Answered requests.", ("method", "path", "status"))
        self.request_seconds = Histogram("detkit_request_seconds", "Time of a request until its answer.", ("path",), SECONDS)
        self.images = Metric("detkit_images_total", "Images by result: ok, or the code of the error.", ("model", "result"))

    def _batcher(self, model: Model, processor: threading.Lock) -> Batcher:
        turn = processor if str(model.predictor.device) == "cpu" else None
        limit, max_wait = self.settings.queue, self.settings.max_wait
        return Batcher(model, self.pool, limit=limit, max_wait=max_wait, turn=turn, metrics=self.batches)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models; the first is the default."""
        return tuple(self.batchers)

    def start(self) -> None:
        """Start the threads, which run their models once."""
        for batcher in self.batchers.values():
            batcher.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Finish the images that wait, within some seconds for each model, and stop the threads."""
        self.stopping = True
        for batcher in self.batchers.values():
            batcher.stop(seconds)
        self.pool.shutdown(wait=False, cancel_futures=True)

    def not_ready(self) -> str:
        """Return why the server should get no further requests; empty if it should."""
        if self.stopping:
            return "the server is stopping"
        for name, batcher in self.batchers.items():
            if not batcher.ready.is_set():
                return f"the model {name} has not run yet"
            if len(batcher) >= batcher.limit:
                return f"the queue of the model {name} is full"
        return ""

    def info(self, name: str) -> ModelInfo:
        """Return the description of a model."""
        model = self.batchers[name].model
        predictor, runtime = model.predictor, model.predictor.runtime.info
        points = predictor.operating_points
        return ModelInfo(
            name=name,
            detector=runtime.name,
            class_names=list(model.class_names),
            classes=model.classes(),
            preprocess=runtime.preprocess.model_dump(mode="json"),
            operating_points=None if points is None else points.to_dict(),
            min_score=model.scores.lowest,
            device=str(predictor.device),
            precision=predictor.precision,
            limits=self._limits(model),
        )

    def _limits(self, model: Model) -> Limits:
        settings = self.settings
        return Limits(
            max_bytes=settings.max_bytes,
            max_pixels=max_pixels(),
            max_images=settings.max_images,
            max_detections=model.predictor.max_detections,
            max_batch=model.max_batch,
            max_wait_ms=settings.max_wait * 1000,
            queue=settings.queue,
            timeout_s=settings.timeout,
        )

    def metrics(self) -> list[Metric]:
        """Return all metrics."""
        batchers = self.batchers
        rows = [
            self.requests,
            self.request_seconds,
            self.images,
            Gauge("detkit_queue_length", "Images that wait.", ("model",), lambda: {(name,): len(row) for name, row in batchers.items()}),
            Gauge("detkit_queue_limit", "Most images that wait.", (), lambda: {(): self.settings.queue}),
            Gauge("detkit_upload_bytes", "Bytes of bodies that are held.", (), lambda: {(): self.memory.used}),
            Gauge("detkit_ready", "1 if the server is ready for requests.", (), lambda: {(): float(not self.not_ready())}),
            self.batches.sizes,
            self.batches.seconds,
        ]
        if _STATUS.exists():
            rows.append(Gauge("process_resident_memory_bytes", "Resident memory of the process.", (), lambda: {(): resident_bytes()}))
        return rows


def resident_bytes() -> int:
    """Return the resident memory of this process, on Linux."""
    return int(_STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
