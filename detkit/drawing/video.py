"""Writing of drawn frames to a video."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from detkit.arrays import ImageArray
from detkit.checkpoint.temporary import temporary_path

CODEC = "mp4v"
"""MPEG-4 Part 2, which OpenCV can write on all platforms."""

RATES = (0.1, 600.0)
"""Minimum and maximum frames per second; other rates are clamped."""

MAX_FRAME_SECONDS = 10.0
"""Maximum duration of a frame in seconds; a longer gap is considered an error in the timestamps."""


class VideoWriter:
    """Writes a video without sound frame by frame; leaving the ``with`` block, also by an error, closes it.

    The file has a temporary name until it is closed: a video cannot be played before, and that of a killed process never can.

    Args:
        path: An ``.mp4`` file; overwritten if it exists.
        frames_per_second: Frame rate, clamped to :data:`RATES` and rounded to hundredths, as the codec supports no others.

    Attributes:
        written: Number of written frames; a frame that is shown for longer counts more than once.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self.path = path
        self._temporary = temporary_path(path, ".mp4")
        self.frames_per_second = round(min(max(frames_per_second, RATES[0]), RATES[1]), 2)
        self.written = 0
        self._shape: tuple[int, ...] = ()
        self._writer: cv2.VideoWriter | None = None
        self._last: ImageArray | None = None
        self._skipped_seconds = 0.0

    def write(self, frame: ImageArray, seconds: float | None = None) -> None:
        """Add a frame of the same size as the first; odd sides are padded by repeating the last line.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            seconds: Time at which the frame is shown; the previous frame is repeated until then. By default the next frame slot.

        Raises:
            OSError: If the file cannot be created.
            ValueError: If the frame differs in size from the first.
        """
        if self._writer is None:
            self._shape, self._writer = frame.shape, self._open(frame)
        if frame.shape != self._shape:
            raise ValueError(f"{self.path}: expected frames of shape {self._shape}, got {frame.shape}")
        if seconds is not None and self._last is not None:
            for _ in range(self._frames_until(seconds) - self.written):
                self._writer.write(self._last)
                self.written += 1
        self._last = np.asarray(cv2.cvtColor(_even(frame), cv2.COLOR_RGB2BGR), np.uint8)
        self._writer.write(self._last)
        self.written += 1

    def _frames_until(self, seconds: float) -> int:
        """Return the number of frames before the given time."""
        end = self.written / self.frames_per_second
        self._skipped_seconds += max(seconds - self._skipped_seconds - end - MAX_FRAME_SECONDS, 0)
        return round((seconds - self._skipped_seconds) * self.frames_per_second)

    def close(self) -> None:
        """Close the file, check that it is complete, as OpenCV does not report a full disk, and give it its name.

        Raises:
            OSError: If the file has fewer frames than were written; it is removed.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        capture = cv2.VideoCapture(os.path.abspath(self._temporary))
        count = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        if count == self.written:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)
            raise OSError(f"{self.path}: {count} of {self.written} frames were written; is the disk full?")

    def _open(self, frame: ImageArray) -> cv2.VideoWriter:
        height, width = _even(frame).shape[:2]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(os.path.abspath(self._temporary), cv2.VideoWriter.fourcc(*CODEC), self.frames_per_second, (width, height))
        if not writer.isOpened():
            raise OSError(f"{self.path}: cannot create a video of {width} x {height} pixels")
        return writer

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except OSError:
            if error is None:  # otherwise the earlier error is the one to report
                raise


def _even(frame: ImageArray) -> ImageArray:
    height, width = frame.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
