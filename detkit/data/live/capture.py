"""Connections to cameras and RTSP streams, through OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from detkit.arrays import ImageArray
from detkit.data.live.address import Address
from detkit.data.live.request import TIMEOUT
from detkit.data.media.limits import check_pixels
from detkit.data.media.video import Capture

_SILENT = 0
"""Log level at which OpenCV prints nothing."""


class CaptureConnection:
    """A camera or a stream that OpenCV has opened.

    Args:
        capture: The capture.
        name: Name of the source for messages.
    """

    def __init__(self, capture: Capture, name: str) -> None:
        self._capture, self._name = capture, name

    def grab(self) -> bool:
        """Wait for the next frame.

        Raises:
            ConnectionError: If none comes; OpenCV does not know ends of live sources.
        """
        if not self._capture.grab():
            raise ConnectionError(f"{self._name}: no frame came within {TIMEOUT:g} s, or the source was closed")
        return True

    def retrieve(self) -> ImageArray:
        """Decode the frame.

        Raises:
            ValueError: If it is damaged, or has too many pixels.
        """
        decoded, pixels = self._capture.retrieve()
        if not decoded or pixels is None or not pixels.size:
            raise ValueError(f"{self._name}: the frame is damaged")
        check_pixels((pixels.shape[0], pixels.shape[1]), self._name)
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)

    def interrupt(self) -> None:
        """Do nothing: a capture that waits gives up after its own time limit, and cannot be closed before that."""

    def close(self) -> None:
        """Release the capture."""
        self._capture.release()


def open_camera(index: int) -> CaptureConnection:
    """Open a camera.

    Raises:
        ConnectionError: If there is none with this index, or it is in use.
    """
    with _quiet_opencv():
        capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        capture.release()
        raise ConnectionError(f"camera {index}: it cannot be opened; check that it is connected, not in use, and that 0 is the first")
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return CaptureConnection(capture, f"camera {index}")


def open_rtsp(address: Address) -> CaptureConnection:
    """Open an RTSP stream over TCP, which loses no packets; OpenCV falls back to UDP where a server has no TCP.

    The environment variable ``OPENCV_FFMPEG_CAPTURE_OPTIONS``, if it is set, replaces this choice, as everywhere in OpenCV.

    Raises:
        ConnectionError: If it cannot be opened in time.
    """
    milliseconds = round(1000 * TIMEOUT)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    with _quiet_opencv():
        capture = cv2.VideoCapture(address.with_credentials, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        capture.release()
        raise ConnectionError(f"{address.name}: the stream cannot be opened; check the address, the user and the password, and the network")
    return CaptureConnection(capture, address.name)


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from printing a line for each of its backends that cannot open a source; the error that is raised says it once."""
    logging = getattr(cv2.utils, "logging", cv2)  # before OpenCV 4.13 its functions were in cv2 itself
    level = logging.getLogLevel()
    logging.setLogLevel(_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
