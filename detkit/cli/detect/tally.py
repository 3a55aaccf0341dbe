"""Numbers of images, frames and detections."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.cli.report import LONGEST_CELL, count
from detkit.data.live.address import is_address
from detkit.printable import printable

_MOST_CLASSES = 12
"""Classes of which the numbers of detections are printed, the most frequent first."""


class Tally:
    """Numbers of images, frames, and detections of each class.

    Args:
        class_names: Class names by label.

    Attributes:
        images: Number of images.
        frames: Number of frames.
        detections: Number of detections.
    """

    def __init__(self, class_names: ClassNames) -> None:
        self.images = self.frames = self.detections = 0
        self._class_names = class_names
        self._by_label: Counter[int] = Counter()

    def add(self, result: ImageResult) -> None:
        """Count an image or a frame."""
        self.images += result.frame is None
        self.frames += result.frame is not None
        self.detections += len(result.detections)
        self._by_label.update(result.detections.labels.tolist())

    def __str__(self) -> str:
        counts = [(self._class_names[label], number) for label, number in self._by_label.most_common(_MOST_CLASSES)]
        listed = ", ".join(f"{number} {printable(name, LONGEST_CELL)}" for name, number in counts)
        return f"{count(self.detections, 'detection')}{': ' + listed if listed else ''}"


@dataclass
class Stream:
    """Numbers about a video, camera or stream.

    Attributes:
        name: The source.
        tally: Numbers of its frames and detections.
        live: Whether it is a camera or a stream.
        size: ``(height, width)`` of its first frame; None before it.
        dropped: Number of frames for which there was no time.
        lost: Number of frames that could not be decoded, or that a truncated file lacks.
        seconds: Time that it took.
    """

    name: str
    tally: Tally
    live: bool = False
    size: tuple[int, int] | None = None
    dropped: int = 0
    lost: int = 0
    seconds: float = 0.0
    _start: float = field(default_factory=time.perf_counter)

    @property
    def is_file(self) -> bool:
        """Whether the source is a file."""
        return not self.live and not is_address(self.name)

    def add(self, result: ImageResult) -> None:
        """Count a frame."""
        self.size = self.size or result.size
        self.tally.add(result)

    def end(self, lost: int) -> None:
        """Set the numbers that are known at the end of the source."""
        self.lost = lost
        self.seconds = time.perf_counter() - self._start


def total_detections(streams: Sequence[Stream]) -> int:
    """Return the number of detections of several streams."""
    return sum(stream.tally.detections for stream in streams)
