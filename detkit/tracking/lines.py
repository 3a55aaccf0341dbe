"""Counts of the tracks that cross a line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detkit.arrays import Doubles, Flags
from detkit.tracking.edge import MARGIN, Edge
from detkit.tracking.geometry import Anchor, Point, cross, passes
from detkit.tracking.memory import TrackMemory
from detkit.tracking.tally import Tally
from detkit.tracking.tracks import Tracks

Direction = Literal["in", "out"]


@dataclass(frozen=True)
class Line:
    """A line segment across which tracks are counted.

    Attributes:
        start: ``(x, y)`` in pixels.
        end: ``(x, y)`` in pixels.
        name: Name in the results.

    Raises:
        ValueError: If start and end are the same point, or a coordinate is not finite.
    """

    start: Point
    end: Point
    name: str = "line"

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.start, *self.end))) or tuple(self.start) == tuple(self.end):
            raise ValueError(f"Line {self.name!r}: expected two different points, got {self.start} and {self.end}")


class Crossings(NamedTuple):
    """The tracks that crossed a line in a frame.

    Attributes:
        inward: ``(N,)`` whether each of the frame's tracks crossed in direction "in".
        outward: ``(N,)`` whether it crossed in direction "out".
    """

    inward: Flags
    outward: Flags


class LineCounter:
    """Counts the tracks that cross a line, in both directions and by class.

    Direction "in" is from left to right for somebody who stands at the start and looks to the end: across a line drawn from the left to
    the right of the image, "in" is downwards; "out" is the opposite. Swap start and end to swap the two.

    What counts is the movement of the anchor of the box, straight from where the track was seen last, also if frames in which it was not
    seen lie between:

    - A track begins on the side on which its first anchor is; one exactly on the line has no side yet.
    - It changes sides when its anchor is beyond the line by the margin or more: within the margin, jitter around the line and standing
      on it change nothing.
    - The change is counted if the movement with which the anchor left its old side meets the segment, ends included. Going around an end
      changes sides without a count, and moving along the line counts nothing.

    So "in" and "out" of a track alternate, unless it goes around an end. The class is that of the track at the crossing, its class with
    the largest sum of scores.

    Args:
        line: The line.
        anchor: Point of the box that stands for the object; ``bottom`` suits people and vehicles seen from the side.
        margin: Distance beyond the line, as a fraction of the shorter side of the box, from which the object has changed sides; 0: any.

    Raises:
        ValueError: If the anchor is unknown or the margin is negative.
    """

    def __init__(self, line: Line, *, anchor: Anchor = "center", margin: float = MARGIN) -> None:
        self.line, self._edge = line, Edge(anchor, margin)
        self._start, self._end = np.array(line.start, np.float64), np.array(line.end, np.float64)
        self._length = float(np.hypot(*(self._end - self._start)))
        self._memory = TrackMemory([("side", np.int8), ("last", np.float64, 2), ("away", np.bool_), ("meets", np.bool_)])
        self._tally = Tally(("in", "out"))

    def update(self, tracks: Tracks) -> Crossings:
        """Count the crossings between the previous frame and this one."""
        points, rows = self._edge.points(tracks), self._memory.rows(tracks.ids)
        offsets = cross(self._end - self._start, points - self._start) / self._length
        sides, state = np.sign(offsets).astype(np.int8), self._memory.table[rows]
        begins = state["side"] == 0
        state["side"][begins] = sides[begins]
        self._leave(state, points, sides)
        changes = state["away"] & (sides == -state["side"]) & (np.abs(offsets) >= self._edge.margins(tracks))
        crossed = changes & state["meets"]
        state["side"][changes] = sides[changes]
        near = sides == state["side"]
        state["last"][near], state["away"][near] = points[near], False
        self._memory.table[rows] = state
        result = Crossings(crossed & (sides > 0), crossed & (sides < 0))
        for direction, mask in zip(("in", "out"), result, strict=True):
            self._tally.add(direction, tracks.detections, mask)
        return result

    def _leave(self, state: Any, points: Doubles, sides: NDArray[np.int8]) -> None:
        """Note where tracks leave their side of the line."""
        leaves = ~state["away"] & (state["side"] != 0) & (sides != state["side"])
        state["meets"][leaves] = passes(state["last"][leaves], points[leaves], self._start, self._end)
        state["away"] |= leaves

    def count(self, direction: Direction) -> int:
        """Return the number of crossings in one direction."""
        return self._tally.total(direction)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain Python data, in all and by class."""
        line = {"name": self.line.name, "start": list(self.line.start), "end": list(self.line.end)}
        return {**line, **self._tally.to_dict()}
