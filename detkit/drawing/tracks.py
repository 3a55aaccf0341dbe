"""Drawing of tracked objects frame after frame: boxes in colors of their ids, trails, counting lines and zones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from detkit.arrays import ImageArray
from detkit.drawing.boxes import ClassNames, class_name, draw_masks
from detkit.drawing.canvas import Box, Canvas
from detkit.drawing.palette import Color, color_of
from detkit.structures.masks import Masks

Point = tuple[float, float]
MARKER: Color = (255, 255, 255)
"""Color of lines and zones, that of no track."""
_SHORT = 1.4
"""Widths of a box that its label may have; a longer one is shortened to the id."""
_JUMP = 1.0
"""Seconds without an observation after which a trail is interrupted."""


class TrackRows(Protocol):
    """Tracked objects of a frame: :class:`detkit.tracking.Tracks`."""

    @property
    def ids(self) -> Any:
        """``(N,)`` ids from 1."""

    @property
    def boxes(self) -> Any:
        """``(N, 4)`` ``x1 y1 x2 y2``."""

    @property
    def labels(self) -> Any:
        """``(N,)`` classes."""

    @property
    def masks(self) -> Masks | None:
        """The pixels of each object; None for detectors without masks."""


@dataclass(frozen=True)
class DrawnLine:
    """A counting line.

    Attributes:
        start: ``(x, y)`` in pixels.
        end: ``(x, y)`` in pixels.
        text: Text at its middle, such as its counts.
    """

    start: Point
    end: Point
    text: str = ""


@dataclass(frozen=True)
class DrawnZone:
    """A zone.

    Attributes:
        polygon: Its corners in pixels.
        text: Text at its top.
    """

    polygon: tuple[Point, ...]
    text: str = ""


class TrackDrawer:
    """Draws the tracks of the frames of one video, and remembers where they were.

    The color of a track depends on its id alone. Labels of older tracks are placed first, so that they stay where they are when a new
    object appears.

    Args:
        class_names: Class names by label; None for a class without a name.
        trail_seconds: Length of the trails; 0: none.
        anchor: Point of a box that draws its trail, in fractions of its width and height.
    """

    def __init__(self, class_names: ClassNames, *, trail_seconds: float = 2.0, anchor: Point = (0.5, 0.5)) -> None:
        self._names, self._trail_seconds, self._anchor = class_names, trail_seconds, np.array(anchor)
        self._trails: dict[int, deque[tuple[float, Point]]] = {}

    def draw(
        self,
        image: ImageArray,
        tracks: TrackRows,
        seconds: float,
        *,
        lines: Iterable[DrawnLine] = (),
        zones: Iterable[DrawnZone] = (),
        predicted: Box | None = None,
        scale: int = 1,
    ) -> ImageArray:
        """Draw the tracks of the next frame on a copy of it.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            tracks: The tracks, in the image's own pixels.
            seconds: Time of the frame.
            lines: Counting lines.
            zones: Zones.
            predicted: Box of an object that is not detected, drawn dashed.
            scale: Factor by which the copy is enlarged; see :func:`detkit.drawing.readable_scale`.

        Returns:
            ``(scale * H, scale * W, 3)`` uint8 RGB.
        """
        canvas = Canvas(image, scale)
        rows = sorted(zip(tracks.ids.tolist(), tracks.boxes.tolist(), tracks.labels.tolist(), strict=True))
        self._remember([(track, box) for track, box, _ in rows], seconds)
        zones, lines = tuple(zones), tuple(lines)
        for zone in zones:
            canvas.polygon(zone.polygon, MARKER)
        draw_masks(canvas, *_by_id(tracks))
        self._draw_trails(canvas, seconds)
        for track, box, _ in reversed(rows):
            canvas.box(tuple(box), color_of(track - 1))
        if predicted is not None:
            canvas.box(predicted, color_of(0), dashed=True)
        _draw_markers(canvas, lines, zones)
        for track, box, label in rows:
            self._draw_label(canvas, track, tuple(box), label)
        return canvas.array()

    def _draw_label(self, canvas: Canvas, track: int, box: Box, label: int) -> None:
        """Draw the id of a track, and its class if that is not much wider than the box."""
        text, short = f"#{track} {class_name(self._names, label)}", f"#{track}"
        longest = _SHORT * canvas.scale * (box[2] - box[0])
        canvas.label(box, text if canvas.text_width(text) <= longest else short, color_of(track - 1))

    def _remember(self, rows: Sequence[tuple[int, list[float]]], seconds: float) -> None:
        for track, box in rows:
            corner = np.array(box).reshape(2, 2)
            x, y = (corner[0] + self._anchor * (corner[1] - corner[0])).tolist()
            trail = self._trails.setdefault(track, deque())
            if trail and seconds - trail[-1][0] > _JUMP:
                trail.clear()
            trail.append((seconds, (x, y)))
        for track, trail in list(self._trails.items()):
            while trail and seconds - trail[0][0] > self._trail_seconds:
                trail.popleft()
            if not trail:
                del self._trails[track]

    def _draw_trails(self, canvas: Canvas, seconds: float) -> None:
        """Draw each trail as a line that becomes thinner with its age."""
        if self._trail_seconds <= 0:
            return
        widest = 1.8 * canvas.style.line_width
        for track, trail in sorted(self._trails.items(), reverse=True):
            for (_, start), (time, end) in pairwise(trail):
                share = 1 - (seconds - time) / self._trail_seconds
                canvas.stroke(start, end, color_of(track - 1), 1 + share * (widest - 1))


def _by_id(tracks: TrackRows) -> tuple[Masks | None, list[Color]]:
    """Return the masks of tracks in the order of their ids, and their colors."""
    order = np.argsort(tracks.ids, kind="stable")
    return None if tracks.masks is None else tracks.masks[order], [color_of(track - 1) for track in tracks.ids[order].tolist()]


def _draw_markers(canvas: Canvas, lines: Sequence[DrawnLine], zones: Sequence[DrawnZone]) -> None:
    """Draw the lines, each with an arrow in direction "in", and the texts of lines and zones."""
    for line in lines:
        (x1, y1), (x2, y2) = line.start, line.end
        middle, length = ((x1 + x2) / 2, (y1 + y2) / 2), max(float(np.hypot(x2 - x1, y2 - y1)), 1e-6)
        reach = canvas.style.font_size / canvas.scale
        tip = middle[0] - (y2 - y1) / length * reach, middle[1] + (x2 - x1) / length * reach
        canvas.arrow(middle, tip, MARKER)
        canvas.stroke(line.start, line.end, MARKER, canvas.style.line_width, outlined=True)
        canvas.label((*middle, *middle), line.text, MARKER)
    for zone in zones:
        x, y = min(zone.polygon, key=lambda point: (point[1], point[0]))
        canvas.label((x, y, x, y), zone.text, MARKER)
