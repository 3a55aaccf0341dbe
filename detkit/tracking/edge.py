"""Where an object stands in relation to a line or border, and how far it must go to be on the other side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles
from detkit.tracking.geometry import Anchor, anchor_points
from detkit.tracking.tracks import Tracks

MARGIN = 0.05
"""Distance from a line or border, as a fraction of the shorter side of the box, within which an object has not changed sides yet."""


@dataclass(frozen=True)
class Edge:
    """The rule by which objects cross a line or border.

    Attributes:
        anchor: Point of the box that stands for the object.
        margin: Distance as a fraction of the shorter side of the box.

    Raises:
        ValueError: If the anchor is unknown or the margin is negative or not finite.
    """

    anchor: Anchor
    margin: float

    def __post_init__(self) -> None:
        anchor_points(np.zeros((0, 4)), self.anchor)
        if not 0 <= self.margin < np.inf:
            raise ValueError(f"margin {self.margin}: expected a finite number of 0 or more, a fraction of the shorter side of a box")

    def points(self, tracks: Tracks) -> Doubles:
        """Return the anchors ``(N, 2)`` of tracks."""
        return anchor_points(tracks.boxes, self.anchor)

    def margins(self, tracks: Tracks) -> Doubles:
        """Return the distances ``(N,)`` in pixels that tracks must go beyond a line or border."""
        sides = tracks.boxes[:, 2:].astype(np.float64) - tracks.boxes[:, :2]
        margins: Doubles = self.margin * np.maximum(sides.min(1), 0.0)
        return margins
