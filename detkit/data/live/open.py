"""Open what a word names: a camera, a stream, a video or an image at an address, or a video file."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from detkit.arrays import ImageArray
from detkit.data.live.address import HTTP, Address, hide_credentials, is_address, is_camera, is_live_word, scheme
from detkit.data.live.backing_off import RECONNECT_SECONDS
from detkit.data.media.source import FrameSource

__all__ = ["RECONNECT_SECONDS", "hide_credentials", "is_address", "is_live_word", "open_address", "open_source", "read_image_address"]


def open_source(word: str, *, reconnect_seconds: float = RECONNECT_SECONDS) -> FrameSource:
    """Open a source of frames.

    Args:
        word: The index of a camera (``0`` is the first), an ``rtsp://`` address, the ``http://`` or ``https://`` address of a video or of
            an MJPEG stream, or a video file. An address may have a user and a password, ``http://USER:PASSWORD@HOST/...``.
        reconnect_seconds: Time without a frame after which a source that lost its connection ends with an error.

    Raises:
        FileNotFoundError: If there is no such file, or the server has no such page.
        OSError: If an ``http`` address cannot be reached. Cameras and ``rtsp`` addresses are opened when their frames are read.
        ValueError: If it is no source of frames.
    """
    if is_camera(word):
        return _camera(int(word), reconnect_seconds)
    if not is_address(word):
        return _file(word)
    source = open_address(word, reconnect_seconds=reconnect_seconds)
    if not isinstance(source, np.ndarray):
        return source
    name = Address.parse(word).name
    raise ValueError(f"{name}: expected a video or a stream, got an image; in Python, read it with read_image_address")


def read_image_address(word: str) -> ImageArray:
    """Read the image at an ``http`` or ``https`` address as :func:`detkit.data.media.images.read_image` reads a file.

    Raises:
        FileNotFoundError: If the server has no such page.
        OSError: If the address cannot be reached.
        ValueError: If it is no image, or the image is damaged or too large.
    """
    image = open_address(word)
    if not isinstance(image, np.ndarray):
        raise ValueError(f"{image.name}: expected an image, got a video or a stream; in Python, open it with open_source")
    return image


def open_address(word: str, *, reconnect_seconds: float = RECONNECT_SECONDS) -> FrameSource | ImageArray:
    """Open an address of any kind: return the pixels of an image, and otherwise a source of frames.

    The kind is that of the content, see :func:`detkit.data.live.kinds.kind_of`; one connection is enough to find and to read it.

    Args:
        word: The address.
        reconnect_seconds: Time without a frame after which a source that lost its connection ends with an error.

    Raises:
        OSError, ValueError: As :func:`open_source` and :func:`read_image_address`.
    """
    address = Address.parse(word)
    if scheme(word) not in HTTP:
        from detkit.data.live.capture import open_rtsp
        from detkit.data.live.stream import LiveStream

        connect = functools.partial(open_rtsp, address)
        return LiveStream(address.name, address.stem, connect, reconnect_seconds=reconnect_seconds)
    from detkit.data.live.web import open_web

    return open_web(address, reconnect_seconds)


def _camera(index: int, reconnect_seconds: float) -> FrameSource:
    from detkit.data.live.capture import open_camera
    from detkit.data.live.stream import LiveStream

    return LiveStream(f"camera {index}", f"camera{index}", functools.partial(open_camera, index), reconnect_seconds=reconnect_seconds)


def _file(word: str) -> FrameSource:
    if scheme(word):
        raise ValueError(f"{hide_credentials(word)}: expected an address that begins with http://, https:// or rtsp://, or a file")
    from detkit.data.media.video import Video

    return Video(Path(word))
