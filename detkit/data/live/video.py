"""Videos at ``http`` and ``https`` addresses, decoded while they are read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import cv2

from detkit.data.live.address import Address
from detkit.data.live.backing_off import BackingOff
from detkit.data.live.remote_file import BUFFER, RemoteFile
from detkit.data.live.request import Answer
from detkit.data.media.source import Frame, FrameSource
from detkit.data.media.video import VideoReader


class RemoteVideo(VideoReader):
    """A video at an address whose server states its length; frames wait for the reader, as those of a file do.

    Args:
        address: The address.
        answer: An answer of which nothing was read.
        reconnect_seconds: Time without data after which the video ends with an error.

    Raises:
        OSError: If the connection is lost for too long.
        ValueError: If it cannot be decoded.
    """

    def __init__(self, address: Address, answer: Answer, reconnect_seconds: float) -> None:
        self._address, self._size = address, answer.length
        self._answer: Answer | None = answer
        self._backing_off = BackingOff(address.name, reconnect_seconds)
        self._remote: RemoteFile | None = None
        super().__init__(address.name, address.stem)

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every ``every``-th frame, as :meth:`VideoReader.frames`.

        Raises:
            OSError: If the connection is lost for too long.
            ValueError: As :meth:`VideoReader.frames`.
        """
        self._backing_off.start()
        yield from super().frames(every)

    def interrupt(self) -> None:
        """Let an iteration over :meth:`frames` in another thread end soon, also if it waits for the network."""
        self._backing_off.stop()
        remote = self._remote
        if remote is not None:
            remote.interrupt()

    def _open(self) -> RemoteFile:
        answer, self._answer = self._answer, None
        self._remote = RemoteFile(self._address, self._size, self._backing_off, answer)
        return self._remote

    def _capture(self, *parameters: int) -> cv2.VideoCapture:
        remote = self._open()
        buffer: Any = io.BufferedReader(remote, BUFFER)
        self._buffer = buffer  # kept, because OpenCV drops its own reference without holding Python's lock
        capture: cv2.VideoCapture = cv2.VideoCapture(buffer, cv2.CAP_FFMPEG, parameters)
        if not capture.isOpened():
            remote.close()
            raise remote.error or ValueError(
                f"{self._address.name}: not a readable video; it is damaged, or in a format that FFmpeg does not support"
            )
        return capture

    @contextmanager
    def _file(self) -> Iterator[tuple[BinaryIO, int]]:
        with io.BufferedReader(self._open(), BUFFER) as file:
            yield cast("BinaryIO", file), self._size or 0


def open_video(address: Address, answer: Answer, reconnect_seconds: float) -> FrameSource:
    """Open the video of an answer of which nothing was read.

    Raises:
        OSError, ValueError: As :class:`RemoteVideo`.
    """
    return RemoteVideo(address, answer, reconnect_seconds)
