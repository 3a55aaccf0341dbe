"""Follow one given object through a video."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.arrays import Doubles
from detkit.ops.box_arrays import paired_iou
from detkit.structures.detection import Detection
from detkit.tracking.clock import EARLY, Clock
from detkit.tracking.motion import Motion, Noise
from detkit.tracking.observations import DetectionRows
from detkit.tracking.tracker import Tracker
from detkit.tracking.tracks import Tracks

Box = tuple[float, float, float, float]

_REACH = 0.5
"""Distance of the centers within which a lost object may be found again at once, in diagonals of its box."""
_REACH_PER_SECOND = 1.0
"""Diagonals by which that distance grows with every second, in addition to what the object moves in that time at its last speed."""
_MAX_GROWTH = 2.5
"""Largest such growth, in diagonals."""
_MIN_AREA_RATIO = 0.3
"""Lowest ratio of the areas of the box of the lost object and that of a detection away from it."""
_NEIGHBOR_SECONDS = 2.0
"""Longest time for which other objects that are not detected are remembered."""
_MOST_CANDIDATES = 1000
"""Number of tracks that may be the lost object; of more, the newest are kept."""
_NOISE = Noise()


@dataclass(frozen=True)
class Followed:
    """The followed object in one frame.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels: the detected one, or the predicted one.
        row: Row of that detection; None if there is none.
        detection: That detection; None if there is none.
        label: Its class; None as long as it has not been detected.
        class_name: Name of its class; None as long as it has not been detected, or if the class has no name.
        lost_seconds: Time since its last detection, or since the given box.
        seconds: Time of the frame; None without time stamps.
    """

    box: Box
    row: int | None
    detection: Detection | None
    label: int | None
    class_name: str | None
    lost_seconds: float
    seconds: float | None

    @property
    def detected(self) -> bool:
        """Whether there is a detection of it in this frame; otherwise the box is predicted, or in the first frame the given one."""
        return self.detection is not None


class Follower:
    """Follows one object, given by its box in the first frame, by its predicted place and its detections.

    All detections are tracked, one to one, so that a detection that belongs to a neighbor is never mistaken for the object while it is
    hidden. The object's own detection is found, in this order:

    1. The detection that the tracker gives its track; in the first frame, the one with the largest IoU with the given box.
    2. Of the detections of its class that belong to no object which was seen next to it, or which appeared far from it, the one with the
       largest IoU with its predicted box, if that is at least ``min_iou``.
    3. Of those among them with a sufficient score and a similar area, the one with its center closest to the predicted one, within a
       distance that grows with the time for which the object is lost: half a diagonal of its box, another one a second up to 2.5, and the
       way that it would have moved at its last speed, so that it may have stopped.

    Without one, its box is predicted by a Kalman filter with constant velocity. The class is that of its first detection. Of equals the
    first detection is taken.

    Args:
        box: ``x1 y1 x2 y2`` of the object in the first frame.
        max_lost_seconds: Time without a detection after which the object is lost for good.
        min_iou: Lowest IoU of a detection and the predicted box; usually 0.1 to 0.3.
        min_score: Lowest score of a detection by which an object is found again away from its predicted box.
        frame_rate: Frames per second of the motion model; without time stamps, every update is one frame.

    Raises:
        ValueError: If the box has no area or a setting is invalid.
    """

    def __init__(
        self,
        box: Any,
        *,
        max_lost_seconds: float = 2.0,
        min_iou: float = 0.2,
        min_score: float = 0.4,
        frame_rate: float = 30.0,
    ) -> None:
        self._box = _checked(box)
        settings = {"min_iou": min_iou, "max_lost_seconds": min(max_lost_seconds, _NEIGHBOR_SECONDS), "frame_rate": frame_rate}
        self._tracker = Tracker("sort", min_hits=1, min_new_score=0.0, **settings)
        self._clock = Clock("Follower", frame_rate)
        self._max_lost, self._min_iou, self._min_score, self._frame_rate = max_lost_seconds * frame_rate, min_iou, min_score, frame_rate
        self._motion, self._lost, self._label = Motion.of(self._box, _NOISE), 0.0, -1
        self._id, self._newest, self._started = 0, 0, False
        self._candidates: set[int] = set()

    def update(self, detections: DetectionRows, seconds: float | None = None) -> Followed | None:
        """Find the object among the detections of the next frame; None when it has been lost for too long, and ever after.

        Args:
            detections: The detections of the frame; none of them is fine.
            seconds: Time of the frame; None: one frame after the previous one.

        Raises:
            ValueError: If the time or a detection is invalid, as for :meth:`Tracker.update`.
        """
        if self._lost > self._max_lost + EARLY:
            return None
        tracks, frames = self._tracker.update(detections, seconds), self._clock.frames_to(seconds)
        if self._started:
            self._predict(frames)
        row = self._find(tracks)
        self._started = True
        if row is not None:
            self._observe(tracks, row)
        return self._result(tracks, row) if self._lost <= self._max_lost + EARLY else None

    def _predict(self, frames: float) -> None:
        """Move the box on; one that is lost keeps its size, since what hides an object makes its last boxes shrink."""
        values = self._motion.values.copy()
        if self._lost:
            values[0, 4:8] = np.tile(values[0, 4:8].reshape(2, 2).mean(0), 2)
        self._motion, self._lost = Motion(values).predicted(frames, _NOISE, self._frame_rate), self._lost + frames

    def _find(self, tracks: Tracks) -> int | None:
        """Return the row of the object among the tracks of the frame."""
        own = np.flatnonzero(tracks.ids == self._id)
        if len(own):
            return int(own[0])
        distances, reach = self._distances(tracks), self._reach()
        new = tracks.ids > self._newest
        self._candidates.update(tracks.ids[new & (distances <= reach)].tolist())
        self._newest = max(self._newest, int(tracks.ids.max(initial=0)))
        if len(self._candidates) > _MOST_CANDIDATES:
            self._candidates = set(sorted(self._candidates)[-_MOST_CANDIDATES // 2 :])
        eligible = np.isin(tracks.ids, list(self._candidates)) & ((self._label < 0) | (tracks.labels == self._label))
        ious = np.where(eligible, paired_iou(self._motion.positions, tracks.boxes.astype(np.float64)), 0.0)
        if ious.max(initial=0.0) >= self._min_iou and ious.max() > 0:
            return int(ious.argmax())
        near = eligible & (distances <= reach) & (tracks.scores >= self._min_score) & (self._area_ratios(tracks) >= _MIN_AREA_RATIO)
        return int(np.where(near, distances, np.inf).argmin()) if near.any() and self._started else None

    def _observe(self, tracks: Tracks, row: int) -> None:
        self._motion = self._motion.updated(tracks.boxes[row : row + 1].astype(np.float64), _NOISE)
        self._id, self._label, self._lost = int(tracks.ids[row]), int(tracks.labels[row]), 0.0
        self._newest = max(self._newest, int(tracks.ids.max()))
        self._candidates.clear()

    def _diagonal(self) -> float:
        x1, y1, x2, y2 = self._motion.positions[0].tolist()
        return max(math.hypot(x2 - x1, y2 - y1), 1.0)

    def _reach(self) -> float:
        """Return the distance from the predicted center within which the object may be found again, in diagonals."""
        speed = float(np.hypot(*self._motion.velocities[0].reshape(2, 2).mean(0))) / self._diagonal()
        return _REACH + min(_REACH_PER_SECOND * self._lost / self._frame_rate, _MAX_GROWTH) + speed * self._lost

    def _distances(self, tracks: Tracks) -> Doubles:
        """Return the distance ``(N,)`` of each center and the predicted one, in diagonals of the predicted box."""
        center = self._motion.positions[0].reshape(2, 2).mean(0)
        offsets = tracks.boxes.astype(np.float64).reshape(-1, 2, 2).mean(1) - center
        distances: Doubles = np.hypot(*offsets.T) / self._diagonal()
        return distances

    def _area_ratios(self, tracks: Tracks) -> Doubles:
        """Return the ratio ``(N,)`` of the areas of each box and the predicted one, the smaller over the larger."""
        sides = np.diff(np.concatenate([self._motion.positions, tracks.boxes]).reshape(-1, 2, 2), axis=1)[:, 0]
        areas = np.maximum(sides, 0).prod(1)
        ratios: Doubles = np.minimum(areas[0], areas[1:]) / np.maximum(np.maximum(areas[0], areas[1:]), 1e-9)
        return ratios

    def _result(self, tracks: Tracks, row: int | None) -> Followed:
        detection = None if row is None else tracks.detections.one(row)
        x1, y1, x2, y2 = self._motion.positions[0].tolist() if detection is None else detection.box
        label = None if self._label < 0 else self._label
        return Followed(
            box=(x1, y1, x2, y2),
            row=None if row is None else int(tracks.rows[row]),
            detection=detection,
            label=label,
            class_name=None if label is None else tracks.detections.class_name(label),
            lost_seconds=self._lost / self._frame_rate,
            seconds=tracks.seconds,
        )


def _checked(box: Any) -> Doubles:
    values = np.asarray(box, np.float64)
    if values.shape != (4,) or not np.isfinite(values).all() or (values[2:] <= values[:2]).any():
        raise ValueError(f"Follower: box {box}: expected x1, y1, x2, y2 in pixels, with x2 > x1 and y2 > y1")
    return values[None]
