"""Trackers that follow objects from frame to frame by the boxes of any detector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from detkit.arrays import Doubles, Flags, Integers, to_numpy
from detkit.registry import did_you_mean
from detkit.structures.detection import DetectionArrays
from detkit.tracking.clock import EARLY, Clock
from detkit.tracking.config import KINDS, ByteTrackConfig, SortConfig
from detkit.tracking.matching import Labels, match_boxes
from detkit.tracking.motion import Motion, Noise
from detkit.tracking.observations import DetectionRows, Observations, masks_of, observations
from detkit.tracking.table import UNCONFIRMED, TrackTable
from detkit.tracking.tracks import Tracks


class Tracker:
    """Gives the detections of successive frames ids: the same object has the same id.

    Detections and the predicted boxes of tracks are matched one to one so that the sum of their IoUs is largest; the prediction is that of
    a Kalman filter with constant velocity. An unmatched detection starts a track, which is confirmed after some detections; an unmatched
    track is kept for a time, so that an object that was hidden gets its id back. The state is a few arrays, of all tracks together.

    Ties: of several best assignments, the one is taken that ``scipy.optimize.linear_sum_assignment`` returns for tracks in the order of
    their first detections and detections in the order given. A score equal to a threshold, and an IoU equal to ``min_iou``, suffices. Ids
    are given in the order of the tracks. Of classes with equal votes, the track has the first.

    Two frames may have the same time, as duplicate frames of videos with a variable rate have: nothing moves between them. Times may be
    negative, but not go backwards. Boxes without an area match nothing. Classes need no names.

    Args:
        config: ``bytetrack`` or ``sort``, or the complete settings.
        settings: Settings that differ from the defaults of a tracker given by name, such as ``min_iou=0.2``.

    Raises:
        ValueError: If there is no such tracker, or a setting is invalid.

    References:
        Bewley et al., Simple Online and Realtime Tracking (ICIP 2016); Zhang et al., ByteTrack (ECCV 2022), section 3; Cao et al.,
        Observation-Centric SORT (CVPR 2023), section 4.1.
    """

    def __init__(self, config: SortConfig | ByteTrackConfig | str = "bytetrack", **settings: Any) -> None:
        if isinstance(config, str):
            if config not in KINDS:
                raise ValueError(f"unknown tracker {config!r}: {did_you_mean(config, tuple(KINDS))}")
            self.config: SortConfig | ByteTrackConfig = KINDS[config](**settings)
        else:
            self.config = config.replace(**settings) if settings else config
        self.noise = Noise()
        self._clock = Clock("Tracker.update", self.config.frame_rate)
        self.reset()

    def reset(self) -> None:
        """Forget all tracks; ids begin with 1 again."""
        none = np.zeros(0)
        self._table = TrackTable.of(none.reshape(0, 4), none, none.astype(np.int64), 1, self.noise)
        self._next_id = 1
        self._clock.reset()

    def update(self, detections: DetectionRows, seconds: float | None = None) -> Tracks:
        """Add the detections of the next frame, and return those that belong to a confirmed track.

        Args:
            detections: The detections of the frame; none of them is fine.
            seconds: Time of the frame; None: one frame after the previous one. Frames may be missing, and their rate may vary.

        Raises:
            ValueError: If a box, score or label is invalid, or the time is not finite, lies before that of the previous frame, or is given
                for some frames only. The tracks are then as before.
        """
        observed = observations(detections)
        self._predict(self._clock.frames_to(seconds))
        self._table.add_classes(int(observed.labels.max(initial=0)) + 1)
        tracks, rows = self._match(observed)
        self._observe(tracks, rows, observed)
        free = np.ones(len(observed.scores), np.bool_)
        free[rows] = False
        new = np.flatnonzero(free & (observed.scores >= self._first_score))
        count = len(self._table)
        self._table.add(self._started(observed, new))
        tracks, rows = np.concatenate([tracks, np.arange(count, count + len(new))]), np.concatenate([rows, new])
        self._confirm(tracks)
        result = self._result(tracks, rows, detections, seconds)
        self._drop()
        return result

    @property
    def _first_score(self) -> float:
        """Lowest score of a detection that starts a track."""
        config = self.config
        return max(config.min_new_score, config.high_score) if isinstance(config, ByteTrackConfig) else config.min_new_score

    @property
    def _max_lost(self) -> float:
        """Number of frames for which a track without a detection is kept."""
        return math.ceil(self.config.max_lost_seconds * self.config.frame_rate - EARLY)

    def _predict(self, frames: float) -> None:
        table = self._table
        if self.config.kind == "bytetrack":
            table.hits[table.missed > 0] = 0
        table.predict(table.motion.predicted(frames, self.noise, self.config.frame_rate), frames)
        table.keep(table.lost <= self._max_lost + 1 + EARLY)  # a track may be found again one frame after it was last kept

    def _match(self, observed: Observations) -> tuple[Integers, Integers]:
        """Return the indices of the matched tracks and of their detections: stage by stage, those of high scores first."""
        table, left = self._table, np.arange(len(self._table))
        tracks, rows = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for mask in self._stages(observed.scores):
            candidates = np.flatnonzero(mask)
            if len(left) and len(candidates):
                labels = Labels(table.labels[left], observed.labels[candidates]) if self.config.class_aware else None
                pairs = match_boxes(table.motion.positions[left], observed.boxes[candidates], labels, self.config.min_iou)
                tracks.append(left[pairs.tracks])
                rows.append(candidates[pairs.detections])
                left = np.delete(left, pairs.tracks)
        return np.concatenate(tracks), np.concatenate(rows)

    def _stages(self, scores: Doubles) -> tuple[Flags, ...]:
        if isinstance(self.config, SortConfig):
            return (np.ones(len(scores), np.bool_),)
        high = scores >= self.config.high_score
        return high, ~high & (scores >= self.config.low_score)

    def _observe(self, tracks: Integers, rows: Integers, observed: Observations) -> None:
        """Update the matched tracks with their detections."""
        boxes, before = observed.boxes[rows], self._table.motion[tracks]
        if self.config.observation_centric:
            self._replay(tracks, boxes, before)
        motion = before.updated(boxes, self.noise)
        self._table.observe(tracks, motion, observed.scores[rows], observed.labels[rows], self.config.score_momentum)

    def _replay(self, tracks: Integers, boxes: Doubles, predicted: Motion) -> None:
        """Write predictions of lost tracks as if they had been observed on the line to their new boxes."""
        lost = np.flatnonzero(self._table.missed[tracks] > 1)
        if len(lost) == 0:
            return
        rows = tracks[lost]
        missed, motion = self._table.missed[rows], self._table.seen[rows]
        start, step = motion.positions.copy(), (self._table.lost[rows] / missed)[:, None]
        way = (boxes[lost] - start) / missed[:, None]
        for number in range(1, int(missed.max())):
            active = np.flatnonzero(missed > number)
            moved = motion[active].predicted(step[active], self.noise, self.config.frame_rate)
            motion.values[active] = moved.updated(start[active] + number * way[active], self.noise).values
        predicted.values[lost] = motion.predicted(step, self.noise, self.config.frame_rate).values

    def _started(self, observed: Observations, rows: Integers) -> TrackTable:
        """Return new tracks of detections."""
        classes = self._table.votes.shape[1]
        return TrackTable.of(observed.boxes[rows], observed.scores[rows], observed.labels[rows], classes, self.noise)

    def _confirm(self, tracks: Integers) -> None:
        """Give an id to each of the tracks that has enough detections and no id, in their order."""
        table = self._table
        new = np.sort(tracks[(table.ids[tracks] == UNCONFIRMED) & (table.hits[tracks] >= self.config.min_hits)])
        table.ids[new] = np.arange(self._next_id, self._next_id + len(new))
        self._next_id += len(new)

    def _result(self, tracks: Integers, rows: Integers, detections: DetectionRows, seconds: float | None) -> Tracks:
        """Return the detections of confirmed tracks, in their order."""
        table = self._table
        shown = np.flatnonzero(table.ids[tracks] != UNCONFIRMED)
        order = shown[np.argsort(rows[shown], kind="stable")]
        tracks, rows = tracks[order], rows[order]
        boxes = table.motion.positions[tracks] if self.config.smooth_boxes else to_numpy(detections.boxes)[rows]
        found = DetectionArrays(
            boxes.astype(np.float32).reshape(-1, 4),
            table.scores[tracks].astype(np.float32),
            table.labels[tracks].astype(np.int64),
            detections.class_names,
            masks=masks_of(detections, rows),
        )
        return Tracks(found, table.ids[tracks].astype(np.int64), rows, seconds)

    def _drop(self) -> None:
        """Drop tracks that are lost for too long, and unconfirmed ones without a detection in this frame."""
        table = self._table
        mature = (table.hits >= self.config.min_hits) | (table.missed == 0)
        if self.config.kind == "bytetrack":
            mature |= table.ids != UNCONFIRMED
        table.keep(mature & (table.lost <= self._max_lost + EARLY))
