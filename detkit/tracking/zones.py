"""Counts of the tracks inside of a zone, and of the time they stay there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from detkit.arrays import Doubles, Flags
from detkit.tracking.clock import Clock
from detkit.tracking.edge import MARGIN, Edge
from detkit.tracking.geometry import Anchor, Point, border_distances, in_polygon
from detkit.tracking.memory import TrackMemory
from detkit.tracking.tally import Tally
from detkit.tracking.tracks import Tracks


@dataclass(frozen=True)
class Zone:
    """A polygon in which tracks are counted.

    Attributes:
        polygon: Its corners ``(x, y)`` in pixels, three or more, in either direction; it may be concave.
        name: Name in the results.

    Raises:
        ValueError: If there are fewer than three corners, a coordinate is not finite, or the polygon has no area.
    """

    polygon: tuple[Point, ...]
    name: str = "zone"

    def __post_init__(self) -> None:
        corners = self.corners
        if corners.ndim != 2 or corners.shape[1:] != (2,) or len(corners) < 3 or not np.isfinite(corners).all():
            raise ValueError(f"Zone {self.name!r}: expected three or more corners (x, y) with finite coordinates, got {self.polygon}")
        if len(np.unique(corners, axis=0)) < 3 or np.linalg.matrix_rank(corners - corners[0]) < 2:
            raise ValueError(f"Zone {self.name!r}: the corners {self.polygon} lie on one line; expected a polygon with an area")

    @property
    def corners(self) -> Doubles:
        """``(P, 2)``."""
        return np.array(self.polygon, np.float64)


class Visits(NamedTuple):
    """The tracks of a frame in relation to a zone.

    Attributes:
        inside: ``(N,)`` whether each of the frame's tracks is inside.
        entered: ``(N,)`` whether it came in over the border since it was seen last.
        left: ``(N,)`` whether it went out over the border since it was seen last.
        seconds: ``(N,)`` time that it has spent inside, of all its visits.
    """

    inside: Flags
    entered: Flags
    left: Flags
    seconds: Doubles


class ZoneCounter:
    """Counts the tracks that enter, leave, and stay in a zone, by class, and measures how long they stay.

    The anchor of the box decides. The first one of a track decides at once whether the track is inside: one that appears inside has not
    entered, but is one of the unique tracks. From then on it has changed only when its anchor is across the border by the margin or more,
    so jitter at the border counts nothing. A track that passes through the zone between two frames in which it is seen is not counted.
    The time inside lasts from the frame in which a track is first inside to that in which it is first outside, or to the last in which it
    is seen; time in between in which it is not seen counts.

    Args:
        zone: The zone.
        anchor: Point of the box that stands for the object; ``bottom`` suits people and vehicles seen from the side.
        margin: Distance across the border, as a fraction of the shorter side of the box, from which the object has changed; 0: any.
        frame_rate: Frames per second of tracks without time stamps.

    Raises:
        ValueError: If the anchor is unknown or the margin is negative.
    """

    def __init__(self, zone: Zone, *, anchor: Anchor = "center", margin: float = MARGIN, frame_rate: float = 30.0) -> None:
        self.zone, self._edge, self._corners = zone, Edge(anchor, margin), zone.corners
        self._clock, self._seconds, self._frame_rate = Clock("ZoneCounter", frame_rate), 0.0, frame_rate
        fields = [(name, np.bool_) for name in ("known", "inside", "visited")] + [("time", np.float64), ("spent", np.float64)]
        self._memory = TrackMemory(fields)
        self._tally = Tally(("entered", "left", "unique"))
        self._now, self._spent, self._longest = 0, 0.0, 0.0

    def update(self, tracks: Tracks) -> Visits:
        """Count what happened between the previous frame and this one."""
        self._seconds += self._clock.frames_to(tracks.seconds) / self._frame_rate
        points, rows = self._edge.points(tracks), self._memory.rows(tracks.ids)
        state, within = self._memory.table[rows], in_polygon(points, self._corners)
        clear = border_distances(points, self._corners) >= self._edge.margins(tracks)
        inside = np.where(state["known"] & ~clear, state["inside"], within)
        spent = np.where(state["inside"], self._seconds - state["time"], 0.0)
        visits = Visits(inside, inside & state["known"] & ~state["inside"], ~inside & state["inside"], state["spent"] + spent)
        self._add(tracks, visits, inside & ~state["visited"], spent)
        state["known"], state["inside"], state["visited"] = True, inside, state["visited"] | inside
        state["time"], state["spent"] = self._seconds, visits.seconds
        self._memory.table[rows] = state
        return visits

    def _add(self, tracks: Tracks, visits: Visits, new: Flags, spent: Doubles) -> None:
        for kind, mask in (("entered", visits.entered), ("left", visits.left), ("unique", new)):
            self._tally.add(kind, tracks.detections, mask)
        self._now = int(visits.inside.sum())
        self._spent += float(spent.sum())
        self._longest = max(self._longest, float(visits.seconds.max(initial=0.0)))

    @property
    def inside(self) -> int:
        """Number of the last frame's tracks that are inside."""
        return self._now

    def count(self, kind: Literal["entered", "left", "unique"]) -> int:
        """Return the number of entries, of exits, or of different tracks that were inside."""
        return self._tally.total(kind)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain Python data, in all and by class; the times are in seconds, the mean is that of a unique track."""
        unique = self.count("unique")
        times = {"mean": self._spent / unique if unique else 0.0, "longest": self._longest, "total": self._spent}
        zone = {"name": self.zone.name, "polygon": [list(point) for point in self.zone.polygon], "inside": self._now}
        return {**zone, **self._tally.to_dict(), "seconds": {name: round(value, 3) for name, value in times.items()}}
