"""Threads that read frames ahead, one for each source, and the batches that are taken from them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from detkit.data.media.source import Frame, FrameSource

_WAKE_SECONDS = 0.2
"""Time after which a waiting thread looks for signals."""
_CLOSE_SECONDS = 5.0
"""Time that is given to the threads to end; a source that hangs for longer is left to its thread, which cannot keep the process alive."""
_MAX_LIVE_BYTES = 1 << 28
"""Pixels of the frames of a live source that wait."""


class FrameReader:
    """Reads a source in a thread of its own.

    The attributes are shared by threads, and are used with ``changed`` held. A source may have a method ``interrupt()``, which lets a
    thread that waits for its next frame end, and an attribute ``paced``, which is false as long as a live source may not send in real time.

    Args:
        source: The source.
        every: Frame step.
        room: Number of frames of a file that wait at most.
        max_latency: Longest time in seconds that a frame of a live source waits; infinite: it is read like a file.
        changed: Notified whenever a frame was read or taken.

    Attributes:
        source: The source.
        items: Times of arrival and frames that wait; the last one may be the error that ended the source.
        done: Whether the source has ended.
        dropped: Number of frames dropped because they waited for too long.
    """

    def __init__(self, source: FrameSource, every: int, room: int, max_latency: float, changed: threading.Condition) -> None:
        self.source = source
        self.items: deque[tuple[float, Frame | Exception]] = deque()
        self.done = False
        self.dropped = 0
        self._every, self._room, self._max_latency, self._changed = every, room, max_latency, changed
        self._drops = source.live and max_latency != float("inf")
        self._stopped = False
        self._bytes = 0
        self._thread = threading.Thread(target=self._run, name=f"reader of {source.name}", daemon=True)
        self._thread.start()

    @property
    def is_urgent(self) -> bool:
        """Whether something waits that should not wait for a batch to be full: a frame of a live source, or an error."""
        return bool(self.items) and (self.source.live or isinstance(self.items[-1][1], Exception))

    def drop_late(self) -> None:
        """Drop frames of a live source that have waited for too long or take too much memory, but never the newest one.

        Frames do not come too late if the source has ended, or does not send in real time.
        """
        if not self._drops or self.done:
            return
        now, max_latency = time.monotonic(), self._max_latency if getattr(self.source, "paced", True) else float("inf")
        while len(self.items) > 1 and isinstance(self.items[1][1], Frame):
            if now - self.items[0][0] <= max_latency and self._bytes <= _MAX_LIVE_BYTES:
                return
            self.take()
            self.dropped += 1

    def take(self) -> Frame | Exception:
        """Return the item that has waited longest."""
        item = self.items.popleft()[1]
        self._bytes -= item.pixels.nbytes if isinstance(item, Frame) else 0
        return item

    def stop(self) -> None:
        """Ask the thread to end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, for a limited time; a source that waits for the network is interrupted."""
        deadline = time.monotonic() + seconds
        interrupt = getattr(self.source, "interrupt", None)
        while self._thread.is_alive() and time.monotonic() < deadline:
            if interrupt is not None:
                interrupt()
            self._thread.join(_WAKE_SECONDS)

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._read()
        except Exception as caught:  # it is raised or reported where the frames are used
            error = caught
        with self._changed:
            if error is not None:
                self.items.append((time.monotonic(), error))
            self.done = True
            self._changed.notify_all()

    def _read(self) -> None:
        frames = iter(self.source.frames(self._every))
        try:
            for frame in frames:
                if not self._put(frame):
                    return
        finally:
            close = getattr(frames, "close", None)  # generators release what they have opened
            if close is not None:
                close()

    def _put(self, frame: Frame) -> bool:
        """Add a frame, for a file when there is room; return whether to go on."""
        with self._changed:
            while not self._drops and len(self.items) >= self._room and not self._stopped:
                self._changed.wait()
            self.items.append((time.monotonic(), frame))
            self._bytes += frame.pixels.nbytes
            self.drop_late()
            self._changed.notify_all()
            return not self._stopped


class FrameReaders:
    """The readers of several sources.

    Args:
        sources: The sources.
        every: Frame step.
        batch_size: Number of frames of a batch.
        max_latency: Longest time in seconds that a frame of a live source waits.
    """

    def __init__(self, sources: Sequence[FrameSource], every: int, batch_size: int, max_latency: float) -> None:
        self._changed = threading.Condition()
        self._size = batch_size
        room = max(2, 2 * batch_size)
        self._readers = [FrameReader(source, every, room, max_latency, self._changed) for source in sources]
        self._first = 0

    def batch(self) -> list[tuple[FrameReader, Frame | Exception]]:
        """Wait for frames and return at most ``batch_size`` of them, from all sources in turn, and any errors; empty at the end of all."""
        with self._changed:
            while not self._is_ready():
                self._changed.wait(_WAKE_SECONDS)
            for reader in self._readers:
                reader.drop_late()
            batch = self._take()
            self._changed.notify_all()
        return batch

    def close(self) -> None:
        """End all threads, and wait for that for a limited time."""
        for reader in self._readers:
            reader.stop()
        deadline = time.monotonic() + _CLOSE_SECONDS
        for reader in self._readers:
            reader.join(deadline - time.monotonic())

    def _is_ready(self) -> bool:
        """Whether a batch is worth running: full, or with all that is there to be had without keeping a live source waiting.

        Frames of files wait for a full batch, so that the batches of a single file are always the same.
        """
        if sum(len(reader.items) for reader in self._readers) >= self._size:
            return True
        if all(reader.done for reader in self._readers) or any(reader.is_urgent for reader in self._readers):
            return True
        can_fill = any(not reader.done and not reader.source.live for reader in self._readers)
        return not can_fill and any(reader.items for reader in self._readers)

    def _take(self) -> list[tuple[FrameReader, Frame | Exception]]:
        """Return the next items, one of each source in turn, beginning after the source of the last frame of the batch before."""
        batch: list[tuple[FrameReader, Frame | Exception]] = []
        frames, passed, count = 0, 0, len(self._readers)
        while frames < self._size and passed < count:
            reader = self._readers[self._first % count]
            self._first = (self._first + 1) % count
            passed = 0 if reader.items else passed + 1
            if reader.items:
                item = reader.take()
                frames += isinstance(item, Frame)
                batch.append((reader, item))
        return batch
