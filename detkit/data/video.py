"""The one reader of videos: frames as :func:`detkit.data.images.read_image` gives images, one after another."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

VIDEO_ENDINGS: tuple[str, ...] = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".mts", ".m2ts")
"""Endings, in lower case, by which videos are told from images."""

_TOLERATED = 0.02
"""Which share of its frames a file may lack before it is told: headers often estimate their number."""

_log = logging.getLogger(__name__)


def is_video(path: str | Path) -> bool:
    """Whether a file is a video, by its ending."""
    return Path(path).suffix.lower() in VIDEO_ENDINGS


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video.

    Attributes:
        index: Its place in the video, from 0; frames that were passed over count.
        seconds: When it is shown, from the beginning.
        pixels: ``(H, W, 3)`` uint8 RGB, upright: a telephone's turning is applied.
    """

    index: int
    seconds: float
    pixels: npt.NDArray[np.uint8]


class Video:
    """A video in a file, which OpenCV's FFmpeg decodes.

    Args:
        path: The file.

    Attributes:
        path: The file.
        frames_per_second: What its header says; ``None`` where it does not.
        length: How many frames its header tells of, often an estimate; ``None`` where it does not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, empty, or nothing that can be decoded.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        capture = _opened(self.path)
        rate, length = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
        self.frames_per_second = rate if math.isfinite(rate) and rate > 0 else None
        self.length = round(length) if math.isfinite(length) and length > 0 else None

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Each ``every``-th frame from the first on, read when it is asked for.

        Far fewer frames than the header tells of are logged as a warning: the file may be cut off, or trimmed without being written anew.

        Raises:
            ValueError: ``every`` is not positive, or not one frame can be decoded.
        """
        if every < 1:
            raise ValueError(f"every: expected 1 or more, got {every}")
        capture = _opened(self.path)
        index = 0
        try:
            while capture.grab():
                if index % every == 0:
                    seconds = self._seconds(index, capture.get(cv2.CAP_PROP_POS_MSEC))
                    there, pixels = capture.retrieve()
                    if not there:
                        break
                    yield Frame(index, seconds, np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))
                index += 1
        finally:
            capture.release()
        self._check_end(index)

    def _seconds(self, index: int, milliseconds: float) -> float:
        if index and milliseconds <= 0 and self.frames_per_second is not None:  # some containers do not say
            return index / self.frames_per_second
        return milliseconds / 1000

    def _check_end(self, read: int) -> None:
        if not read:
            raise ValueError(f"{self.path}: not one frame of the video can be decoded; fetch or export it again")
        if self.length is not None and self.length - read > max(2, _TOLERATED * self.length):
            _log.warning(
                "%s: %d frames were read where its header tells of %d; it is trimmed, of a changing rate, or cut off: look at its end",
                self.path,
                read,
                self.length,
            )


def _opened(path: Path) -> cv2.VideoCapture:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such video; check the path")
    if path.is_dir():
        raise ValueError(f"{path}: expected a video, got a folder; name a file in it")
    if not path.stat().st_size:
        raise ValueError(f"{path}: the file is empty (0 bytes); fetch or export the video again")
    capture = cv2.VideoCapture(os.path.abspath(path))  # of a bare name FFmpeg takes what is before a colon for a protocol
    if not capture.isOpened():
        raise ValueError(f"{path}: not a video that can be read; it is damaged, cut off, or of a kind that FFmpeg does not know")
    return capture
