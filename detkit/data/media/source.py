"""Sources of frames: the interface of video files, cameras and streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from detkit.arrays import ImageArray


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video or a stream.

    Attributes:
        index: Index in the source, from 0; skipped frames count.
        seconds: Time from the start of the source.
        pixels: ``(H, W, 3)`` uint8 RGB, upright: the rotation stored by phones is applied.
    """

    index: int
    seconds: float
    pixels: ImageArray


class FrameSource(Protocol):
    """Interface of a source of frames."""

    live: bool
    """Whether frames arrive at their own pace, so that a slow reader has to leave some out."""
    frames_per_second: float | None
    """Frame rate that the source states; None if it states none."""
    length: int | None
    """Number of frames, often an estimate; None if it is unknown or has no end."""
    lost: int
    """Number of frames that the last iteration over :meth:`frames` could not decode."""

    @property
    def name(self) -> str:
        """The source as the user named it, for messages and results; an address without its password."""

    @property
    def stem(self) -> str:
        """Beginning of the names of files that are made from the source, without folder and extension."""

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every ``every``-th frame, starting with the first.

        Raises:
            OSError, ValueError: If the source cannot be opened or read; frames that were yielded before are good.
        """
