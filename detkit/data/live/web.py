"""Images, videos and MJPEG at ``http`` and ``https`` addresses."""

from __future__ import annotations

from detkit.arrays import ImageArray
from detkit.data.live.address import Address
from detkit.data.live.kinds import kind_of_answer
from detkit.data.live.mjpeg import MjpegConnection
from detkit.data.live.request import Answer, request
from detkit.data.live.stream import LiveStream
from detkit.data.media.images import decode_image
from detkit.data.media.limits import TooManyPixelsError, max_pixels
from detkit.data.media.signatures import describe_bytes
from detkit.data.media.source import FrameSource

_BYTES_PER_PIXEL = 4
"""Longest image file that is read, for each pixel of the largest image that is decoded."""
_CHUNK = 1 << 20


def open_web(address: Address, reconnect_seconds: float) -> FrameSource | ImageArray:
    """Open an address: return the pixels of an image, and otherwise a source of frames.

    Raises:
        OSError: If it cannot be reached.
        ValueError: If its content is none of them.
    """
    answer = request(address)
    kept = False
    try:
        kind, start = kind_of_answer(answer, address.suffix)
        if kind == "image":
            return decode_image(_read_all(answer, address.name), address.name)
        if kind is None:
            raise ValueError(_not_media(address, answer, start))
        kept = True
        if kind == "mjpeg":
            connect = _Connector(address, answer)
            return LiveStream(address.name, address.stem, connect, reconnect_seconds=reconnect_seconds, reached=True, paced=False)
        from detkit.data.live.video import open_video

        return open_video(address, answer, reconnect_seconds)
    finally:
        if not kept:
            answer.close()


class _Connector:
    """Connects to an MJPEG stream; the first time over the connection by which the stream was recognized."""

    def __init__(self, address: Address, answer: Answer) -> None:
        self._address = address
        self._answer: Answer | None = answer

    def __call__(self) -> MjpegConnection:
        answer, self._answer = self._answer, None
        if answer is None:
            answer = request(self._address)
            kind, start = kind_of_answer(answer, self._address.suffix)
            if kind != "mjpeg":
                answer.close()
                raise ConnectionError(_not_media(self._address, answer, start))
        return MjpegConnection(answer, self._address.name)

    def __del__(self) -> None:
        if self._answer is not None:
            self._answer.close()


def _read_all(answer: Answer, name: str) -> bytes:
    """Return the whole body.

    Raises:
        OSError: If the connection is cut.
        TooManyPixelsError: If it is longer than any image that would be decoded.
    """
    most = _BYTES_PER_PIXEL * max_pixels()
    data = bytearray()
    while len(data) <= most and (answer.length or 0) <= most:
        part = answer.read(_CHUNK)
        if not part:
            return bytes(data)
        data += part
    raise TooManyPixelsError(f"{name}: the file is too long for an image ({most:,} bytes at most); download it, and check that it is one")


def _not_media(address: Address, answer: Answer, start: bytes) -> str:
    stated = f" ({answer.content_type})" if answer.content_type else ""
    found = describe_bytes(start) if start else "it is empty"
    return f"{address.name}: expected an image, a video or an MJPEG stream{stated}, but {found}"
