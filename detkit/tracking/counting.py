"""Counts of tracks over lines and in zones.

    counting = Counting([Line((0, 300), (640, 300), "gate")], [Zone(((0, 0), (200, 0), (200, 400)), "yard")])
    for detections in frames:
        events = counting.update(tracker.update(detections))
    print(counting.to_dict())

The rules are those of :class:`~detkit.tracking.lines.LineCounter` and :class:`~detkit.tracking.zones.ZoneCounter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from detkit.arrays import Flags
from detkit.tracking.edge import MARGIN
from detkit.tracking.geometry import ANCHORS, Anchor, Point
from detkit.tracking.lines import Crossings, Line, LineCounter
from detkit.tracking.tracks import Tracks
from detkit.tracking.zones import Visits, Zone, ZoneCounter

__all__ = ["ANCHORS", "Anchor", "CountEvent", "Counting", "Crossings", "Line", "LineCounter", "Point", "Visits", "Zone", "ZoneCounter"]


@dataclass(frozen=True)
class CountEvent:
    """A track that crossed a line or a border of a zone.

    Attributes:
        kind: ``in`` or ``out`` over a line; ``entered`` or ``left`` of a zone.
        name: Name of the line or zone.
        track: Id of the track.
        label: Its class.
        class_name: Name of its class; None if it has none.
        seconds: Time of the frame; None without time stamps.
        stayed: Seconds that a track which left a zone has spent there, of all its visits; otherwise None.
    """

    kind: Literal["in", "out", "entered", "left"]
    name: str
    track: int
    label: int
    class_name: str | None = None
    seconds: float | None = None
    stayed: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain Python data."""
        return asdict(self)


class Counting:
    """Counts the tracks over several lines and in several zones.

    Args:
        lines: The lines.
        zones: The zones.
        anchor: Point of a box that stands for its object; ``bottom`` suits people and vehicles seen from the side.
        margin: Distance beyond a line or border, as a fraction of the shorter side of a box, from which an object has crossed it.
        frame_rate: Frames per second of tracks without time stamps, for the time spent in zones.

    Attributes:
        lines: The counter of each line.
        zones: The counter of each zone.

    Raises:
        ValueError: If two lines or two zones have the same name, or the anchor or margin is invalid.
    """

    def __init__(
        self,
        lines: Sequence[Line] = (),
        zones: Sequence[Zone] = (),
        *,
        anchor: Anchor = "center",
        margin: float = MARGIN,
        frame_rate: float = 30.0,
    ) -> None:
        names = [line.name for line in lines] + [zone.name for zone in zones]
        if len(set(names)) < len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"Counting: two lines or zones are named {repeated!r}; expected different names")
        self.lines = tuple(LineCounter(line, anchor=anchor, margin=margin) for line in lines)
        self.zones = tuple(ZoneCounter(zone, anchor=anchor, margin=margin, frame_rate=frame_rate) for zone in zones)

    def update(self, tracks: Tracks) -> tuple[CountEvent, ...]:
        """Count what happened between the previous frame and this one, and return it: lines first, in the order of the tracks."""
        return tuple(event for events in (self._crossings(tracks), self._visits(tracks)) for event in events)

    def _crossings(self, tracks: Tracks) -> Iterator[CountEvent]:
        for counter in self.lines:
            crossed = counter.update(tracks)
            yield from _events("in", counter.line.name, tracks, crossed.inward)
            yield from _events("out", counter.line.name, tracks, crossed.outward)

    def _visits(self, tracks: Tracks) -> Iterator[CountEvent]:
        for counter in self.zones:
            visits = counter.update(tracks)
            yield from _events("entered", counter.zone.name, tracks, visits.entered)
            yield from _events("left", counter.zone.name, tracks, visits.left, visits.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain Python data, ready for JSON."""
        return {"lines": [counter.to_dict() for counter in self.lines], "zones": [counter.to_dict() for counter in self.zones]}


def _events(kind: Any, name: str, tracks: Tracks, mask: Flags, stayed: Any = None) -> Iterator[CountEvent]:
    for row in np.flatnonzero(mask).tolist():
        label = int(tracks.labels[row])
        seconds = None if stayed is None else float(stayed[row])
        yield CountEvent(kind, name, int(tracks.ids[row]), label, tracks.detections.class_name(label), tracks.seconds, seconds)
