"""The tracks that a tracker follows, as a few arrays with a row for each track."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from detkit.arrays import Doubles, Flags, Integers
from detkit.tracking.motion import Motion, Noise

UNCONFIRMED = 0
"""Id of a track that is not confirmed yet."""


@dataclass(frozen=True, eq=False)
class TrackTable:
    """``T`` tracks in the order of their first detections.

    Attributes:
        motion: Their predicted boxes and velocities.
        ids: ``(T,)`` ids from 1; 0 for a track that is not confirmed.
        hits: ``(T,)`` number of detections: of all, or in consecutive updates.
        lost: ``(T,)`` time in frames since the last detection.
        missed: ``(T,)`` number of updates since the last detection.
        votes: ``(T, K)`` sum of the scores of each class.
        scores: ``(T,)`` score, averaged over time.
        seen: The motion as it was at the last detection.
    """

    motion: Motion
    ids: Integers
    hits: Integers
    lost: Doubles
    missed: Integers
    votes: Doubles
    scores: Doubles
    seen: Motion

    @classmethod
    def of(cls, boxes: Doubles, scores: Doubles, labels: Integers, classes: int, noise: Noise) -> TrackTable:
        """Return new tracks from one detection each."""
        count, motion = len(boxes), Motion.of(boxes, noise)
        votes = np.zeros((count, classes))
        votes[np.arange(count), labels] = scores
        ids = np.full(count, UNCONFIRMED, np.int64)
        return cls(motion, ids, np.ones(count, np.int64), np.zeros(count), np.zeros(count, np.int64), votes, scores.astype(float), motion)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Flags | Integers) -> TrackTable:
        """Return the tracks that a mask or indices select."""
        return TrackTable(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def labels(self) -> Integers:
        """``(T,)`` class with the largest sum of scores."""
        labels: Integers = self.votes.argmax(1).astype(np.int64)
        return labels

    @property
    def confirmed(self) -> Flags:
        """``(T,)`` whether a track has an id."""
        confirmed: Flags = self.ids != UNCONFIRMED
        return confirmed

    def with_classes(self, classes: int) -> TrackTable:
        """Return the tracks with votes for at least this many classes."""
        missing = classes - self.votes.shape[1]
        return self if missing <= 0 else replace(self, votes=np.pad(self.votes, ((0, 0), (0, missing))))

    def joined(self, other: TrackTable) -> TrackTable:
        """Return these tracks and then others with as many classes."""
        values: dict[str, Any] = {}
        for field in fields(self):
            first, second = getattr(self, field.name), getattr(other, field.name)
            values[field.name] = Motion.cat(first, second) if isinstance(first, Motion) else np.concatenate([first, second])
        return TrackTable(**values)
