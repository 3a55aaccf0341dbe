"""Live sources: frames of a connection that is made again, with longer and longer waits, when it is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from detkit.arrays import ImageArray
from detkit.data.live.backing_off import RECONNECT_SECONDS, BackingOff
from detkit.data.media.source import Frame

_PACED_SECONDS = 0.5
"""Time of waiting for frames after which a source is known to send them in real time."""

_log = logging.getLogger(__name__)


class Connection(Protocol):
    """Interface of a connection to a live source."""

    def grab(self) -> bool:
        """Wait for the next frame; return False when the source is over.

        Raises:
            OSError: If the connection is lost.
        """

    def retrieve(self) -> ImageArray:
        """Decode the frame.

        Raises:
            ValueError: If it is damaged.
        """

    def interrupt(self) -> None:
        """Let a thread that waits for a frame end soon."""

    def close(self) -> None:
        """Release the connection."""


class LiveStream:
    """A source whose frames arrive at their own pace, over a connection that may be lost.

    A lost connection is made again, after waits that double from half a second up to ten, and frames go on with the next index; their
    ``seconds`` are times of arrival since that of the first frame. One line is logged when the connection is lost, and one when frames
    arrive again. The source ends with an error if there is no frame for ``reconnect_seconds``, or if its first connection fails.

    Args:
        name: Name for messages and results, without a password.
        stem: Beginning of the names of files that are made from the source.
        connect: Connects to the source.
        reconnect_seconds: Time without a frame after which the source ends; 0: when the connection is first lost.
        reached: Whether the source was already reached, so that a failure of the first connection is a lost connection.
        paced: Whether frames are known to come in real time. False: they may be those of a clip that is sent at once; then the source is
            in real time when its frames have been waited for.

    Attributes:
        name: The source as the user named it, without a password.
        stem: Beginning of the names of files that are made from the source.
        live: True.
        frames_per_second: None; frames have times of arrival.
        length: None.
        lost: Number of frames that the last iteration over :meth:`frames` should have yielded, but that could not be decoded.
    """

    def __init__(
        self,
        name: str,
        stem: str,
        connect: Callable[[], Connection],
        *,
        reconnect_seconds: float = RECONNECT_SECONDS,
        reached: bool = False,
        paced: bool = True,
    ) -> None:
        self.name, self.stem, self._connect = name, stem, connect
        self._backing_off = BackingOff(name, reconnect_seconds)
        self._reached, self._paced = reached, paced
        self._waited = 0.0
        self.live = True
        self.frames_per_second: float | None = None
        self.length: int | None = None
        self.lost = 0
        self._connection: Connection | None = None

    @property
    def paced(self) -> bool:
        """Whether frames come in real time, so that late ones are worth less than newer ones."""
        return self._paced or self._waited >= _PACED_SECONDS

    def interrupt(self) -> None:
        """Let an iteration over :meth:`frames` in another thread end soon, also if it waits for the network."""
        self._backing_off.stop()
        connection = self._connection
        if connection is not None:
            connection.interrupt()

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every ``every``-th frame, starting with the first, as they arrive.

        A frame that cannot be decoded keeps its index and is counted in :attr:`lost`.

        Raises:
            OSError: If the source cannot be reached at first, or if there was no frame for too long.
            ValueError: If ``every`` is not positive, or if the source ends without a frame.
        """
        if every < 1:
            raise ValueError(f"every: expected 1 or more, got {every}")
        self._backing_off.start()
        self.lost, self._waited = 0, 0.0
        start: float | None = None
        for index, arrival in enumerate(self._arrivals()):
            start = arrival if start is None else start
            if index % every:
                continue
            try:
                pixels = self._connected.retrieve()
            except ValueError as error:
                _log.debug("%s: frame %d cannot be decoded: %s", self.name, index, error)
                self.lost += 1
            else:
                yield Frame(index, arrival - start, pixels)

    @property
    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _arrivals(self) -> Iterator[float]:
        """Yield the time of arrival of each frame, across lost connections."""
        reached, count = self._reached, 0
        try:
            while not self._backing_off.stopped:
                before = time.perf_counter()
                try:
                    if not self._connected.grab():
                        break
                except OSError as error:
                    if not reached or self._backing_off.stopped:
                        self._end(error)
                        return
                    self._close()
                    self._backing_off.wait(error)
                    continue
                arrival = self._backing_off.arrived()
                self._waited += arrival - before if count else 0.0
                reached, count = True, count + 1
                yield arrival
        finally:
            self._close()
        if not count and not self._backing_off.stopped:
            raise ValueError(f"{self.name}: the stream ended without a frame; check the address, and download the video if it is a file")

    def _end(self, error: OSError) -> None:
        """Raise the error of a source that has given no frame, unless it was interrupted."""
        if not self._backing_off.stopped:
            raise error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()
