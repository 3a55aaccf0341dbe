"""Detection on the frames of videos, cameras and streams, several at once; a thread for each source reads ahead."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from detkit.data.media.source import Frame, FrameSource
from detkit.inference.files import PredictorOf
from detkit.inference.min_scores import LeftOut

D = TypeVar("D")

MAX_LATENCY = 0.5
"""Seconds for which a frame of a live source waits for the detector, at most, before a newer one takes its place."""
_WAKE_SECONDS = 0.2
"""Time after which a waiting thread looks for signals."""


@dataclass(frozen=True, eq=False)
class FrameResult(Generic[D]):
    """Detections of one frame, or the error that ended its source.

    Attributes:
        source: The source.
        frame: The frame; None for an error.
        detections: Detections in the frame's own pixels, or None.
        error: The error, or None.
        left_out: The best detection that scores too little to be reported, or None.
        dropped: Number of frames of a live source, so far, for which there was no time.
    """

    source: FrameSource
    frame: Frame | None = None
    detections: D | None = None
    error: Exception | None = None
    left_out: LeftOut | None = None
    dropped: int = 0


def detect_streams(
    predictor: PredictorOf[D], sources: Sequence[FrameSource], *, every: int = 1, max_latency: float = MAX_LATENCY
) -> Generator[FrameResult[D], None, None]:
    """Yield the frames of all sources with their detections; frames of different sources share batches.

    The frames of one source come in order. A video file loses no frame. Of a live source, frames are dropped that waited for longer than
    ``max_latency``, except for the newest. A source that fails yields its error, and the others go on.

    Args:
        predictor: A :class:`Predictor`, or an :class:`ImagePyramid` of one.
        sources: Video files, cameras and streams.
        every: Frame step: 1 for all frames, 2 for every second frame.
        max_latency: Longest time in seconds that a frame of a live source may wait.

    Raises:
        ValueError: If ``every`` is not positive or ``max_latency`` is negative.
    """
    if every < 1:
        raise ValueError(f"every: expected 1 or more, got {every}")
    if not max_latency >= 0:
        raise ValueError(f"max_latency: expected 0 seconds or more, got {max_latency}")
    changed = threading.Condition()
    readers = [_Reader(source, every, max(2, 2 * predictor.batch_size), max_latency, changed) for source in sources]
    try:
        while batch := _next_batch(readers, predictor.batch_size, changed):
            frames = [(reader, item) for reader, item in batch if isinstance(item, Frame)]
            detections = predictor.detect([predictor.prepare(frame.pixels) for _, frame in frames])
            left_out = getattr(predictor, "left_out", None) or (None,) * len(detections)
            for (reader, frame), rows, best in zip(frames, detections, left_out, strict=True):
                yield FrameResult(reader.source, frame, rows, left_out=best, dropped=reader.dropped)
            for reader, error in batch:
                if isinstance(error, Exception):
                    yield FrameResult(reader.source, error=error, dropped=reader.dropped)
    finally:
        for reader in readers:
            reader.stop()


def _next_batch(readers: list[_Reader], size: int, changed: threading.Condition) -> list[tuple[_Reader, Any]]:
    """Wait for frames, and return at most ``size`` of them, from all sources in turn; errors are extra. Empty at the end of all sources."""
    with changed:
        while not _is_ready(readers, size):
            changed.wait(_WAKE_SECONDS)
        batch: list[tuple[_Reader, Any]] = []
        frames = 0
        while frames < size and any(reader.items for reader in readers):
            for reader in readers:
                if reader.items and frames < size:
                    batch.append((reader, reader.items.popleft()[1]))
                    frames += isinstance(batch[-1][1], Frame)
        changed.notify_all()
    return batch


def _is_ready(readers: list[_Reader], size: int) -> bool:
    """Whether a batch is worth running: full, or with all that is there to be had without waiting for a live source."""
    waiting = [reader for reader in readers if not reader.done]
    if not waiting or sum(len(reader.items) for reader in readers) >= size:
        return True
    files = [reader for reader in waiting if not reader.source.live]
    return not files and any(reader.items for reader in readers)


class _Reader:
    """Reads a source in a thread of its own.

    Attributes:
        source: The source.
        items: Times of arrival and frames that wait; at the end, the error if there was one.
        done: Whether the source has ended.
        dropped: Number of frames dropped because they waited for too long.
    """

    def __init__(self, source: FrameSource, every: int, room: int, max_latency: float, changed: threading.Condition) -> None:
        self.source = source
        self.items: deque[tuple[float, Any]] = deque()
        self.done = False
        self.dropped = 0
        self._every, self._room, self._max_latency, self._changed = every, room, max_latency, changed
        self._stopped = False
        threading.Thread(target=self._run, name=f"reader of {source.name}", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end at its next frame."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            with closing(self.source.frames(self._every)) as frames:  # type: ignore[type-var]
                for frame in frames:
                    if not self._put(frame):
                        break
        except Exception as caught:  # it is raised or reported where the frames are used
            error = caught
        with self._changed:
            if error is not None:
                self.items.append((time.monotonic(), error))
            self.done = True
            self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        """Add a frame, for a file when there is room; return whether to go on."""
        with self._changed:
            while not self.source.live and len(self.items) >= self._room and not self._stopped:
                self._changed.wait()
            now = time.monotonic()
            if self.source.live:
                while self.items and now - self.items[0][0] > self._max_latency:
                    self.items.popleft()
                    self.dropped += 1
            self.items.append((now, frame))
            self._changed.notify_all()
            return not self._stopped
