"""Videos at ``http`` and ``https`` addresses, decoded while they are read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from detkit.data.live.address import Address
from detkit.data.live.backing_off import BackingOff
from detkit.data.live.capture import CaptureConnection
from detkit.data.live.file_capture import FileCapture
from detkit.data.live.remote_file import BUFFER, AnswerFile, RemoteFile
from detkit.data.live.request import Answer, request
from detkit.data.live.stream import LiveStream
from detkit.data.media.source import Frame, FrameSource
from detkit.data.media.video import VideoReader


def open_video(address: Address, answer: Answer, reconnect_seconds: float) -> FrameSource:
    """Open the video of an answer of which nothing was read.

    A video whose length the server states is read like a file. Another one may be recorded as it is sent, and is live; it is over when
    the answer ends.

    Raises:
        OSError, ValueError: As :class:`RemoteVideo`.
    """
    if answer.length is not None:
        return RemoteVideo(address, answer, reconnect_seconds)
    answers = [answer]

    def connect() -> _VideoConnection:
        return _VideoConnection(answers.pop() if answers else request(address), address)

    return LiveStream(address.name, address.stem, connect, reconnect_seconds=reconnect_seconds, paced=False)


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
        self._address, self._size = address, answer.length or 0
        self._answers = [answer]
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
        try:
            yield from super().frames(every)
        except OSError:
            if not self._backing_off.stopped:
                raise

    def interrupt(self) -> None:
        """Let an iteration over :meth:`frames` in another thread end soon, also if it waits for the network."""
        self._backing_off.stop()
        remote = self._remote
        if remote is not None:
            remote.interrupt()

    def _open(self) -> RemoteFile:
        self._remote = RemoteFile(self._address, self._size, self._backing_off, self._answers.pop() if self._answers else None)
        return self._remote

    def _capture(self, *parameters: int) -> FileCapture:
        return FileCapture(self._open(), self._address.name, parameters)

    @contextmanager
    def _file(self) -> Iterator[tuple[BinaryIO, int]]:
        with io.BufferedReader(self._open(), BUFFER) as file:
            yield cast("BinaryIO", file), self._size


class _VideoConnection(CaptureConnection):
    """A video without a stated length, decoded while it arrives."""

    def __init__(self, answer: Answer, address: Address) -> None:
        self._answer = answer
        try:
            super().__init__(FileCapture(AnswerFile(answer), address.name), address.name)
        except ValueError as error:  # of a stream that was read before, this is a lost connection
            raise ConnectionError(str(error)) from None

    def grab(self) -> bool:
        return self._capture.grab()

    def interrupt(self) -> None:
        self._answer.interrupt()
