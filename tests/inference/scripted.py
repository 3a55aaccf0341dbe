"""A predictor and sources of frames that follow scripts; without PyTorch."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from detkit.data.media.source import Frame


class Counting:
    """A predictor that returns the first pixel of each image, and keeps the sizes of its batches."""

    class_names: tuple[str | None, ...] = ("a",)
    max_detections = None

    def __init__(self, batch_size: int = 1, before: Callable[[], object] = lambda: None) -> None:
        self.batch_size, self.before = batch_size, before
        self.batches: list[list[int]] = []

    def prepare(self, image: Any) -> Any:
        return image

    def detect(self, prepared: Sequence[Any]) -> Sequence[int]:
        self.before()
        values = [int(image[0, 0, 0]) for image in prepared]
        self.batches.append(values)
        return values


class Scripted:
    """A source: frames by number, whose first pixel is the number modulo 256, seconds to wait, events to wait for, errors.

    ``alive``: frames that still exist.
    """

    frames_per_second: float | None = None
    length: int | None = None

    def __init__(self, name: str, *steps: int | float | threading.Event | Exception, live: bool = False) -> None:
        self.name = self.stem = name
        self.steps, self.live, self.lost = steps, live, 0
        self.given = 0
        self.closed = False
        self.alive: weakref.WeakSet[Frame] = weakref.WeakSet()

    def frames(self, every: int = 1) -> Iterator[Frame]:
        try:
            for step in self.steps:
                if isinstance(step, threading.Event):
                    step.wait()
                elif isinstance(step, Exception):
                    raise step
                elif isinstance(step, float):
                    time.sleep(step)
                else:
                    self.given += 1
                    frame = Frame(step, step / 10, np.full((2, 2, 3), step % 256, np.uint8))
                    self.alive.add(frame)
                    yield frame
        finally:
            self.closed = True
