"""Drawn frames as a video."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from detkit.drawing.canvas import ImageArray

CODEC = "mp4v"
"""MPEG-4 part 2: the one that OpenCV can write everywhere."""

RATES = (0.1, 600.0)
"""Frames a second: slower and faster ones are written as these."""

LONGEST = 10.0
"""Seconds that one frame may fill: a gap in the times that is longer is taken for an error of the times."""


class VideoWriter:
    """A video without sound that is written frame by frame; leaving the ``with`` block ends it.

    Args:
        path: An ``.mp4`` file, overwritten if it is there.
        frames_per_second: How fast it is shown, within :data:`RATES`, rounded to hundredths: the codec holds no others.

    Attributes:
        written: How many frames it has; one that is shown for longer counts more than once.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self.path = path
        self.frames_per_second = round(min(max(frames_per_second, RATES[0]), RATES[1]), 2)
        self.written = 0
        self._shape: tuple[int, ...] = ()
        self._writer: cv2.VideoWriter | None = None
        self._last: ImageArray | None = None
        self._jumped = 0.0

    def write(self, frame: ImageArray, seconds: float | None = None) -> None:
        """Add a frame, ``(H, W, 3)`` uint8 RGB, as large as the first; an odd side is made even by repeating its last line.

        Args:
            frame: The image.
            seconds: When it is shown, from the beginning; the frame before it fills the time until then. By default at once.

        Raises:
            OSError: the file cannot be made.
            ValueError: the frame has another size than the first.
        """
        if self._writer is None:
            self._shape, self._writer = frame.shape, self._opened(frame)
        if frame.shape != self._shape:
            raise ValueError(f"{self.path}: expected frames of shape {self._shape}, got {frame.shape}")
        if seconds is not None and self._last is not None:
            for _ in range(self._due(seconds) - self.written):
                self._writer.write(self._last)
                self.written += 1
        self._last = np.asarray(cv2.cvtColor(_even(frame), cv2.COLOR_RGB2BGR), np.uint8)
        self._writer.write(self._last)
        self.written += 1

    def _due(self, seconds: float) -> int:
        """How many frames there should be when another is shown."""
        end = self.written / self.frames_per_second
        self._jumped += max(seconds - self._jumped - end - LONGEST, 0)
        return round((seconds - self._jumped) * self.frames_per_second)

    def close(self) -> None:
        """End the video, and see that all of it is there: OpenCV does not say when a disk is full.

        Raises:
            OSError: the file does not have the frames that were written.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        capture = cv2.VideoCapture(os.path.abspath(self.path))
        there = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        if there != self.written:
            raise OSError(f"{self.path}: {there} of {self.written} frames were written; is the disk full?")

    def _opened(self, frame: ImageArray) -> cv2.VideoWriter:
        height, width = _even(frame).shape[:2]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(os.path.abspath(self.path), cv2.VideoWriter.fourcc(*CODEC), self.frames_per_second, (width, height))
        if not writer.isOpened():
            raise OSError(f"{self.path}: no video of {width} x {height} can be written there")
        return writer

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except OSError:
            if error is None:  # what went wrong before is what must be told
                raise


def _even(frame: ImageArray) -> ImageArray:
    height, width = frame.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
