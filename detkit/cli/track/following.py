"""One given object as the only track of a source, with a line when it is lost and when it is found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from detkit.structures.detection import DetectionArrays
from detkit.tracking import Follower, Tracks

Box = tuple[float, float, float, float]
TRACK = 1
"""Id of the followed object."""
_LOST_SECONDS = 0.5
"""Time without a detection after which the object is reported as lost."""


class FollowTracker:
    """Follows one object, and returns it as the only track.

    Args:
        follower: Follows the object.
        report: Gets a line about each change.

    Attributes:
        predicted: The box at which the object should be while it is not detected; None while it is, and after it is given up.
        given_up: Whether it has been lost for too long.
    """

    def __init__(self, follower: Follower, report: Callable[[str], None]) -> None:
        self._follower, self._report = follower, report
        self.predicted: Box | None = None
        self.given_up = False
        self._seen = self._is_lost = False
        self._last = 0.0

    def update(self, detections: DetectionArrays, seconds: float | None = None) -> Tracks:
        """See :meth:`detkit.tracking.Tracker.update`."""
        now, followed = seconds or 0.0, self._follower.update(detections, seconds)
        detected = followed is not None and followed.detected
        self._report_change(now, detected, 0.0 if followed is None else followed.lost_seconds, followed is None)
        self.predicted = followed.box if followed is not None and not detected else None
        rows = np.array([followed.row] if followed is not None and detected else [], np.int64)
        found = detections[rows]
        if followed is not None and detected:
            found = found.replace(labels=np.full(1, followed.label, np.int64))
        return Tracks(found, np.full(len(rows), TRACK, np.int64), rows, seconds)

    def _report_change(self, now: float, detected: bool, lost_seconds: float, ended: bool) -> None:
        if ended and not self.given_up:
            self.given_up = True
            never = "the object at the box of --follow was never detected" if not self._seen else "the object is lost for good"
            self._report(f"{now:.2f} s: {never}; --max-lost sets for how long it is looked for")
        elif detected and self._is_lost:
            self._report(f"{now:.2f} s: the object is found again, after {now - self._last:.2f} s")
        elif not detected and self._seen and not self._is_lost and lost_seconds >= _LOST_SECONDS:
            self._report(f"{now:.2f} s: the object is lost, last seen at {self._last:.2f} s")
            self._is_lost = True
        if detected:
            self._seen, self._is_lost, self._last = True, False, now


def follower(box: Box, min_score: float, max_lost: float | None) -> Follower:
    """Return what follows the object of a box.

    Args:
        box: ``x1 y1 x2 y2`` in the first frame.
        min_score: Score from which objects are reported.
        max_lost: Seconds for which the object is looked for; None: the default.
    """
    settings: dict[str, Any] = {} if max_lost is None else {"max_lost_seconds": max_lost}
    return Follower(box, min_score=min_score, **settings)
