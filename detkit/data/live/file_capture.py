"""Videos that OpenCV decodes from file objects."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, cast

import cv2

from detkit.data.live.remote_file import BUFFER, AnswerFile, RemoteFile


class DecoderFile(io.BufferedIOBase):
    """A file as OpenCV's decoder needs it: nothing is ever raised, since the decoder cannot pass an exception on, and would crash.

    Args:
        file: The file.

    Attributes:
        error: Why reading ended before the end, or None.
    """

    def __init__(self, file: RemoteFile | AnswerFile) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self._seekable = file.seekable()
        self._file = io.BufferedReader(file, BUFFER)

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes; none at the end and after an error."""
        if self.error is None:
            try:
                return self._file.read1(size or -1)
            except BaseException as error:  # also an interruption by the user, which is raised outside of the decoder
                self.error = error
        return b""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position and return it; -1 if that is not possible."""
        if not self._seekable or self.error is not None:
            return -1
        try:
            return self._file.seek(offset, whence)
        except BaseException as error:
            self.error = error
            return -1

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell() if self._seekable else 0

    def close(self) -> None:
        """Close the connection; OpenCV may still read, and gets nothing."""
        self.error = self.error or EOFError("closed")
        self._file.close()


class FileCapture:
    """A video that OpenCV decodes from a file object; with the methods of ``cv2.VideoCapture``, but errors of the file are raised.

    Args:
        file: The file; it is closed with the capture.
        name: Name of the video for messages.
        parameters: Parameters of the capture.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it cannot be decoded.
    """

    def __init__(self, file: RemoteFile | AnswerFile, name: str, parameters: Sequence[int] = ()) -> None:
        # the file is kept as long as the capture, because OpenCV drops its own reference without holding Python's lock
        self._file = DecoderFile(file)
        self._capture = cv2.VideoCapture(cast("Any", self._file), cv2.CAP_FFMPEG, parameters)
        if not self._capture.isOpened():
            error = self._file.error
            self.release()
            raise error or ValueError(f"{name}: not a readable video; it is damaged, or in a format that FFmpeg does not support")

    def get(self, key: int) -> float:
        """Return a property."""
        return float(self._capture.get(key))

    def grab(self) -> bool:
        """Go to the next frame, and return whether there is one."""
        grabbed = bool(self._capture.grab())
        if self._file.error is not None and not grabbed:
            raise self._file.error
        return grabbed

    def retrieve(self) -> tuple[bool, Any]:
        """Decode the frame; return whether that was possible, and its pixels."""
        decoded, pixels = self._capture.retrieve()
        return decoded, pixels

    def release(self) -> None:
        """Close the capture and the file."""
        self._capture.release()
        self._file.close()
