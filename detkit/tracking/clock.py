"""Time between the frames of a video, in frames of a nominal rate."""

from __future__ import annotations

import math

EARLY = 1e-6
"""Part of a frame by which times may differ through rounding."""


class Clock:
    """Checks time stamps and returns the time between them.

    Frames may be missing and their rate may vary. Two frames may have the same time, as duplicate frames of videos with a variable rate
    have; times may be negative, but never go backwards.

    Args:
        owner: Name for messages.
        frame_rate: Frames per second.
    """

    def __init__(self, owner: str, frame_rate: float) -> None:
        if not (math.isfinite(frame_rate) and frame_rate > 0):
            raise ValueError(f"{owner}: frame_rate {frame_rate}: expected a positive number of frames per second")
        self._owner, self._frame_rate = owner, frame_rate
        self.reset()

    def reset(self) -> None:
        """Begin a new video."""
        self._previous: float | None = None
        self._started = False

    def frames_to(self, seconds: float | None) -> float:
        """Return the number of frames since the previous call; the first one and those without times count as one.

        Raises:
            ValueError: If the time is not finite, lies before the previous one, or is given for some frames only.
        """
        previous, started = self._previous, self._started
        if started and (seconds is None) != (previous is None):
            raise ValueError(f"{self._owner}: {_MIXED[seconds is None]}; expected seconds for all frames or for none, or reset() between")
        if seconds is not None and (not math.isfinite(seconds) or (previous is not None and seconds < previous)):
            raise ValueError(
                f"{self._owner}: seconds {seconds}: expected a finite time"
                + ("" if previous is None else f", not before {previous}, that of the previous frame")
            )
        self._previous, self._started = None if seconds is None else float(seconds), True
        return 1.0 if seconds is None or previous is None else (seconds - previous) * self._frame_rate


_MIXED = {True: "this frame has no time, and earlier ones had one", False: "this frame has a time, and earlier ones had none"}
