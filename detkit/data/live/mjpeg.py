"""Connections to MJPEG streams over HTTP."""

from __future__ import annotations

from detkit.arrays import ImageArray
from detkit.data.live.multipart import Multipart, PartError
from detkit.data.live.request import Answer
from detkit.data.media.images import decode_image


class MjpegConnection:
    """A stream of images in the parts of a multipart answer.

    The end of the stream is meant if the server says so: by the closing boundary, by the length of the whole answer, or by the last
    chunk of an answer in chunks. An answer that just ends, within a part or between two, counts as a lost connection, since that is how
    cameras that restart look.

    Args:
        answer: The answer.
        name: Name of the source for messages.
    """

    def __init__(self, answer: Answer, name: str) -> None:
        self._answer, self._name = answer, name
        boundary = answer.headers.get_param("boundary")
        self._parts = Multipart(answer.read, boundary if isinstance(boundary, str) else "")
        self._data = b""

    def grab(self) -> bool:
        """Wait for the next part; return False at the end of the stream.

        Raises:
            OSError: If the connection is lost.
        """
        try:
            data = self._parts.next()
        except PartError as error:
            raise PartError(f"{self._name}: {error}") from None
        if data is not None:
            self._data = data
            return True
        if self._parts.closed or self._answer.complete:
            return False
        raise ConnectionError(f"{self._name}: the stream ended without a closing boundary")

    def retrieve(self) -> ImageArray:
        """Decode the part.

        Raises:
            ValueError: If it is no image, or damaged.
        """
        return decode_image(self._data, self._name)

    def interrupt(self) -> None:
        """Cut the connection."""
        self._answer.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()
