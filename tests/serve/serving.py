"""Servers for tests: of a detector with known outputs, in the process or on a real socket."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import bright
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from detkit.inference.min_scores import MinScore, MinScores
from detkit.serve import server
from detkit.serve.app import create_app
from detkit.serve.models import Model
from detkit.serve.service import Service
from detkit.serve.settings import Settings

JPEG = {"Content-Type": "image/jpeg"}
BINARY = {"Content-Type": "application/octet-stream"}


def model(name: str = "bright", *, min_score: MinScore = 0.5, max_batch: int = 4, predictor: Any = None) -> Model:
    """Return a model that detects bright regions, red with score .9 and green with .6."""
    predictor = predictor or bright.predictor(short_side=60)
    return Model(name, predictor, MinScores(min_score, predictor.class_names), max_batch)


def masked_model() -> Model:
    """A model of bright regions whose masks are ellipses in their boxes."""

    class Masked(bright.BrightDetector):
        def _one(self, image: Any) -> Any:
            detections = super()._one(image)
            y, x = np.mgrid[:28, :28] - 13.5
            grid = torch.from_numpy((x**2 + y**2 < 14**2).astype(np.float32))
            return detections.replace(mask_probabilities=grid.expand(len(detections), 28, 28).clone())

    made = bright.predictor(short_side=60)
    return model(predictor=type(made)(Masked(), made.preprocess, made.class_names, "cpu", "fp32", reference=True))


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def photo() -> bytes:
    return encoded(bright.image())


@contextmanager
def client(*models: Model, **settings: Any) -> Iterator[TestClient]:
    """Yield a client of a server in this process, which is ready."""
    service = Service(models or (model(),), Settings(**settings))
    with TestClient(create_app(service), raise_server_exceptions=False) as test_client:
        for batcher in service.batchers.values():
            assert batcher.ready.wait(30)
        test_client.service = service  # type: ignore[attr-defined]
        yield test_client


@dataclass
class Running:
    """A server on a real socket."""

    port: int
    service: Service
    server: Any
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def http(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=30)

    def stop(self) -> None:
        self.server.should_exit = True


@contextmanager
def running(*models: Model, **settings: Any) -> Iterator[Running]:
    service = Service(models or (model(),), Settings(**settings))
    started = threading.Event()
    built = server.build(service, started.set)
    bound = server.bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=(built, bound), daemon=True)
    port = bound.getsockname()[1]
    thread.start()
    assert started.wait(30)
    for batcher in service.batchers.values():
        assert batcher.ready.wait(30)
    result = Running(port, service, built, thread)
    try:
        yield result
    finally:
        result.stop()
        thread.join(30)
        assert not thread.is_alive()


def post(connection: HTTPConnection, body: Any, path: str = "/v1/detect", headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Send a request, and return the status and the JSON of the answer."""
    connection.request("POST", path, body, headers or BINARY)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def received(connection: socket.socket) -> bytes:
    """Return all that a server sends until it closes the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def until(condition: Any, seconds: float = 10.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.01)
