"""Trackers that follow objects from frame to frame by the boxes of any detector."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from detkit.arrays import Doubles, Flags, Integers, to_numpy
from detkit.registry import did_you_mean
from detkit.structures.detection import DetectionArrays
from detkit.tracking.clock import EARLY, Clock
from detkit.tracking.config import KINDS, ByteTrackConfig, SortConfig
from detkit.tracking.matching import match, similarities
from detkit.tracking.motion import Motion, Noise
from detkit.tracking.table import UNCONFIRMED, TrackTable
from detkit.tracking.tracks import Tracks


class DetectionRows(Protocol):
    """Detections of one frame: :class:`detkit.Detections`, or :class:`~detkit.structures.detection.DetectionArrays`."""

    @property
    def boxes(self) -> Any:
        """``(N, 4)`` ``x1 y1 x2 y2``."""

    @property
    def scores(self) -> Any:
        """``(N,)`` from 0 to 1."""

    @property
    def labels(self) -> Any:
        """``(N,)`` classes."""

    @property
    def class_names(self) -> tuple[str | None, ...] | None:
        """Names of the classes."""


class Tracker:
    """Gives the detections of successive frames ids: the same object has the same id.

    Detections and the predicted boxes of tracks are matched one to one so that the sum of their IoUs is largest; the prediction is that of
    a Kalman filter with constant velocity. An unmatched detection starts a track, which is confirmed after some detections; an unmatched
    track is kept for a time, so that an object that was hidden gets its id back. The state is a few arrays, of all tracks together.

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
            ValueError: If the time is not finite, lies before that of the previous frame, or is given for some frames only.
        """
        boxes = to_numpy(detections.boxes).astype(np.float64).reshape(-1, 4)
        scores, labels = to_numpy(detections.scores).astype(np.float64), to_numpy(detections.labels).astype(np.int64)
        if not np.isfinite(boxes).all():
            raise ValueError("Tracker.update: a box has a coordinate that is not finite; expected x1 y1 x2 y2 in pixels")
        self._predict(self._clock.frames_to(seconds))
        classes = max(int(labels.max(initial=0)) + 1, self._table.votes.shape[1])
        self._table = self._table.with_classes(classes)
        tracks, rows = self._match(boxes, scores, labels)
        self._observe(tracks, boxes[rows], scores[rows], labels[rows])
        new = self._started(np.setdiff1d(np.arange(len(boxes)), rows), boxes, scores, labels)
        tracks, rows = np.concatenate([tracks, len(self._table) - len(new) + np.arange(len(new))]), np.concatenate([rows, new])
        self._confirm(tracks)
        shown = self._table.confirmed[tracks]
        result = self._result(tracks[shown], rows[shown], detections, seconds)
        self._drop()
        return result

    def _predict(self, frames: float) -> None:
        table = self._table
        hits = table.hits if self.config.kind == "sort" else np.where(table.missed > 0, 0, table.hits)
        motion = table.motion.predicted(frames, self.noise, self.config.frame_rate)
        table = replace(table, motion=motion, hits=hits, lost=table.lost + frames, missed=table.missed + 1)
        self._table = table[table.lost <= self._max_lost + 1 + EARLY]  # a track may be found again one frame after it was last kept

    @property
    def _max_lost(self) -> float:
        """Number of frames for which a track without a detection is kept."""
        return math.ceil(self.config.max_lost_seconds * self.config.frame_rate - EARLY)

    def _match(self, boxes: Doubles, scores: Doubles, labels: Integers) -> tuple[Integers, Integers]:
        """Return the indices of the matched tracks and of their detections: stage by stage, those of high scores first."""
        left = np.arange(len(self._table))
        tracks, rows = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for mask in self._stages(scores):
            candidates = np.flatnonzero(mask)
            if len(left) and len(candidates):
                same = self._table.labels[left][:, None] == labels[candidates] if self.config.class_aware else None
                similarity = similarities(self._table.motion.positions[left], boxes[candidates], same)
                pairs = match(similarity, self.config.min_iou)
                tracks.append(left[pairs.tracks])
                rows.append(candidates[pairs.detections])
                left = np.delete(left, pairs.tracks)
        return np.concatenate(tracks), np.concatenate(rows)

    def _stages(self, scores: Doubles) -> tuple[Flags, ...]:
        if isinstance(self.config, SortConfig):
            return (np.ones(len(scores), np.bool_),)
        high = scores >= self.config.high_score
        return high, ~high & (scores >= self.config.low_score)

    def _observe(self, tracks: Integers, boxes: Doubles, scores: Doubles, labels: Integers) -> None:
        """Update the matched tracks with their detections."""
        table = self._table
        before = table.motion[tracks]
        if self.config.observation_centric:
            before = self._replayed(tracks, boxes, before)
        motion = table.motion.replaced(tracks, before.updated(boxes, self.noise))
        values = {name: getattr(table, name).copy() for name in ("hits", "lost", "missed", "votes", "scores", "ids")}
        values["hits"][tracks] += 1
        values["lost"][tracks] = values["missed"][tracks] = 0
        values["votes"][tracks, labels] += scores
        momentum = self.config.score_momentum
        values["scores"][tracks] = momentum * table.scores[tracks] + (1 - momentum) * scores
        self._table = replace(table, motion=motion, seen=table.seen.replaced(tracks, motion[tracks]), **values)

    def _replayed(self, tracks: Integers, boxes: Doubles, predicted: Motion) -> Motion:
        """Return the predictions of tracks, those of lost ones as if they had been observed on the line to their new boxes."""
        table = self._table
        missed = table.missed[tracks]
        motion, start = table.seen[tracks], table.seen.positions[tracks]
        step = (table.lost[tracks] / np.maximum(missed, 1))[:, None]
        for number in range(1, int(missed.max(initial=0))):
            active = np.flatnonzero(missed > number)
            share = (number / missed[active])[:, None]
            virtual = start[active] + share * (boxes[active] - start[active])
            moved = motion[active].predicted(step[active], self.noise, self.config.frame_rate).updated(virtual, self.noise)
            motion = motion.replaced(active, moved)
        lost = missed > 1
        final = motion[lost].predicted(step[lost], self.noise, self.config.frame_rate)
        return predicted.replaced(lost, final)

    def _confirm(self, tracks: Integers) -> None:
        """Give an id to each of the tracks that has enough detections and no id, in their order."""
        ids = self._table.ids.copy()
        new = np.sort(tracks[(ids[tracks] == UNCONFIRMED) & (self._table.hits[tracks] >= self.config.min_hits)])
        ids[new] = np.arange(self._next_id, self._next_id + len(new))
        self._next_id += len(new)
        self._table = replace(self._table, ids=ids)

    def _result(self, tracks: Integers, rows: Integers, detections: DetectionRows, seconds: float | None) -> Tracks:
        order = np.argsort(rows, kind="stable")
        tracks, rows = tracks[order], rows[order]
        table, boxes = self._table, to_numpy(detections.boxes)[rows]
        found = DetectionArrays(
            (table.motion.positions[tracks] if self.config.smooth_boxes else boxes).astype(np.float32),
            table.scores[tracks].astype(np.float32),
            table.labels[tracks],
            detections.class_names,
        )
        return Tracks(found, table.ids[tracks], rows, seconds)

    def _started(self, rows: Integers, boxes: Doubles, scores: Doubles, labels: Integers) -> Integers:
        """Start a track from each unmatched detection with a sufficient score, and return the rows of these detections."""
        first = self.config.min_new_score
        if isinstance(self.config, ByteTrackConfig):
            first = max(first, self.config.high_score)
        rows = rows[scores[rows] >= first]
        new = TrackTable.of(boxes[rows], scores[rows], labels[rows], self._table.votes.shape[1], self.noise)
        self._table = self._table.joined(new)
        return rows

    def _drop(self) -> None:
        """Drop tracks that are lost for too long, and unconfirmed ones without a detection in this frame."""
        table = self._table
        mature = table.hits >= self.config.min_hits
        if self.config.kind == "bytetrack":
            mature |= table.confirmed
        self._table = table[(table.lost <= self._max_lost + EARLY) & (mature | (table.missed == 0))]
