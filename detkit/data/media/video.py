"""The video reader; yields frames in the format of :func:`detkit.data.media.images.read_image`."""

from __future__ import annotations

import logging
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import cv2
import numpy as np

from detkit.data.media.containers import missing_bytes, shows_every_frame
from detkit.data.media.source import Frame

_MAX_MISSING = 0.02
"""Fraction of its frames that a file may lack before a warning; headers often only estimate the number."""

_TRIALS, _MAX_TRIALS = 30, 300
"""Damaged frames in a row after which the video is considered finished: if the header has no length, and at most."""

_log = logging.getLogger(__name__)


class Capture(Protocol):
    """The methods of ``cv2.VideoCapture`` that are used here."""

    def get(self, key: int, /) -> float:
        """Return a property."""

    def grab(self) -> bool:
        """Go to the next frame, and return whether there is one."""

    def retrieve(self) -> tuple[bool, Any]:
        """Decode the frame; return whether that was possible, and its pixels."""

    def release(self) -> None:
        """Close the video."""


class VideoReader(ABC):
    """Frames of a video, decoded by OpenCV's FFmpeg, wherever its file is.

    Args:
        name: The video as the user named it.
        stem: Beginning of the names of files that are made from it.

    Attributes:
        name: The video as the user named it.
        stem: The name of the file without its extension.
        live: False, as its frames wait for the reader.
        frames_per_second: Frame rate in the header; ``None`` if it has none.
        length: Number of frames in the header, often an estimate; ``None`` if it has none.
        lost: Number of frames that the last iteration over :meth:`frames` should have yielded, but that could not be decoded, or that
            the header states although the file is cut short before them. A damaged frame that the decoder completes from its neighbors
            is yielded and not counted, as OpenCV does not report it.
    """

    def __init__(self, name: str, stem: str) -> None:
        self.name, self.stem = name, stem
        capture = self._capture()
        rate, length = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
        self.frames_per_second = rate if math.isfinite(rate) and rate > 0 else None
        self.length = round(length) if math.isfinite(length) and length > 0 else None
        self.live = False
        self.lost = 0

    @abstractmethod
    def _capture(self, *parameters: int) -> Capture:
        """Open the video for decoding.

        Raises:
            OSError, ValueError: If that is impossible.
        """

    @abstractmethod
    def _file(self) -> AbstractContextManager[tuple[BinaryIO, int]]:
        """Open the file itself; with its number of bytes."""

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every ``every``-th frame, starting with the first; frames are decoded on demand.

        A frame that cannot be decoded is skipped, keeps its index, and is counted in :attr:`lost`, as are the frames that a truncated
        file lacks. If there are far fewer frames than in the header for no known reason, a warning is logged: the file may be trimmed
        without being rewritten.

        Raises:
            ValueError: If ``every`` is not positive, or if no frame can be decoded.
        """
        if every < 1:
            raise ValueError(f"every: expected 1 or more, got {every}")
        capture = self._capture()
        index, self.lost = 0, 0
        try:
            while (skipped := self._grab(capture, index)) is not None:
                self.lost += sum(number % every == 0 for number in range(index, index + skipped))
                index += skipped
                if index % every == 0:
                    seconds = self._seconds(index, capture.get(cv2.CAP_PROP_POS_MSEC))
                    decoded, pixels = capture.retrieve()
                    if decoded:
                        yield Frame(index, seconds, np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))
                    else:
                        self.lost += 1
                index += 1
        finally:
            capture.release()
        self._check_end(index, every)

    def _grab(self, capture: Capture, index: int) -> int | None:
        """Go to the next frame that can be decoded; return the number of damaged frames before it, or None at the end of the file.

        OpenCV reports a damaged frame and the end alike; after the end, no frame follows. The header limits the number of trials,
        because FFmpeg's decoders complain about each one on the standard error stream.
        """
        remaining = _TRIALS if self.length is None else self.length - index
        return next((skipped for skipped in range(min(max(remaining, 1), _MAX_TRIALS)) if capture.grab()), None)

    def _seconds(self, index: int, milliseconds: float) -> float:
        if index and milliseconds <= 0 and self.frames_per_second is not None:  # some containers have no timestamps
            return index / self.frames_per_second
        return milliseconds / 1000

    def _check_end(self, read: int, every: int) -> None:
        if not read:
            raise ValueError(f"{self.name}: no frame of the video can be decoded; download or export it again")
        if self.length is None or self.length <= read:
            return
        end = self._certain_end(read)
        if end > read:
            self.lost += sum(number % every == 0 for number in range(read, end))
        elif self.length - read > max(2, _MAX_MISSING * self.length):
            _log.warning(
                "%s: expected %d frames as in its header, read %d; it is trimmed, or of variable frame rate: check its end",
                self.name,
                self.length,
                read,
            )

    def _certain_end(self, read: int) -> int:
        """Return how many frames the video should have, given its header and the number that was read."""
        length = self.length or read
        with self._file() as (file, size):
            if missing_bytes(file, size):
                return length
            if not shows_every_frame(file, size, length):
                return read
        return min(length, self._packets())

    def _packets(self) -> int:
        """Return the number of compressed frames, without decoding them."""
        capture = self._capture(cv2.CAP_PROP_FORMAT, -1)
        number = 0
        while capture.grab():
            number += 1
        capture.release()
        return number


class Video(VideoReader):
    """A video file.

    Args:
        path: The file.

    Attributes:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a folder, empty, or cannot be decoded.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        super().__init__(str(self.path), self.path.stem)

    def _capture(self, *parameters: int) -> cv2.VideoCapture:
        return _opened(self.path, *parameters)

    @contextmanager
    def _file(self) -> Iterator[tuple[BinaryIO, int]]:
        with self.path.open("rb") as file:
            yield file, self.path.stat().st_size


def _opened(path: Path, *parameters: int) -> cv2.VideoCapture:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such video; check the path")
    if path.is_dir():
        raise ValueError(f"{path}: expected a video, got a folder; name a file in it")
    if not path.stat().st_size:
        raise ValueError(f"{path}: the file is empty (0 bytes); download or export the video again")
    absolute = os.path.abspath(path)  # in a bare file name FFmpeg would read the part before a colon as a protocol
    capture = cv2.VideoCapture(absolute, cv2.CAP_FFMPEG, parameters) if parameters else cv2.VideoCapture(absolute)
    if not capture.isOpened():
        raise ValueError(f"{path}: not a readable video; it is damaged, truncated, or in a format that FFmpeg does not support")
    return capture
