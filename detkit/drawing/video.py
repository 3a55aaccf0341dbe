"""Drawn frames as a video."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from detkit.drawing.picture import Picture

CODEC = "mp4v"
"""MPEG-4 part 2: the one that OpenCV can write everywhere."""


class VideoWriter:
    """A video without sound that is written frame by frame; leaving the ``with`` block ends it.

    Args:
        path: An ``.mp4`` file, overwritten if it is there.
        frames_per_second: How fast it is shown.

    Attributes:
        written: How many frames it has.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self.path = path
        self.frames_per_second = frames_per_second
        self.written = 0
        self._shape: tuple[int, ...] = ()
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: Picture) -> None:
        """Add a frame, ``(H, W, 3)`` uint8 RGB, as large as the first; an odd side is made even by repeating its last line.

        Raises:
            OSError: the file cannot be made.
            ValueError: the frame has another size than the first.
        """
        if self._writer is None:
            self._shape, self._writer = frame.shape, self._opened(frame)
        if frame.shape != self._shape:
            raise ValueError(f"{self.path}: expected frames of shape {self._shape}, got {frame.shape}")
        self._writer.write(cv2.cvtColor(_even(frame), cv2.COLOR_RGB2BGR))
        self.written += 1

    def close(self) -> None:
        """End the video, and see that all of it is there: OpenCV does not say when a disk is full.

        Raises:
            OSError: the file does not have the frames that were written.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        capture = cv2.VideoCapture(str(self.path))
        there = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        if there != self.written:
            raise OSError(f"{self.path}: {there} of {self.written} frames were written; is the disk full?")

    def _opened(self, frame: Picture) -> cv2.VideoWriter:
        height, width = _even(frame).shape[:2]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*CODEC), self.frames_per_second, (width, height))
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


def _even(frame: Picture) -> Picture:
    height, width = frame.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
