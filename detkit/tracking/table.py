"""The tracks that a tracker follows, as one array with a row for each track."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles, Flags, Integers
from detkit.tracking.motion import COLUMNS, Motion, Noise

UNCONFIRMED = 0
"""Id of a track that is not confirmed yet."""
_SEEN = slice(COLUMNS, 2 * COLUMNS)
_ID, _HITS, _LOST, _MISSED, _SCORE, _LABEL = range(2 * COLUMNS, 2 * COLUMNS + 6)


@dataclass(eq=False)
class TrackTable:
    """``T`` tracks in the order of their first detections; the properties are views, into which new values are written.

    Attributes:
        values: ``(T, 28)`` all numbers of a track but its votes.
        votes: ``(T, K)`` sum of the scores of each class.
    """

    values: Doubles
    votes: Doubles

    @classmethod
    def of(cls, boxes: Doubles, scores: Doubles, labels: Integers, classes: int, noise: Noise) -> TrackTable:
        """Return new tracks from one detection each."""
        count = len(boxes)
        table = cls(np.zeros((count, _LABEL + 1)), np.zeros((count, classes)))
        table.votes[np.arange(count), labels] = scores
        table.values[:, :COLUMNS] = table.values[:, _SEEN] = Motion.of(boxes, noise).values
        table.hits[:], table.scores[:], table.values[:, _LABEL] = 1, scores, labels
        return table

    def __len__(self) -> int:
        return len(self.values)

    @property
    def motion(self) -> Motion:
        """Predicted boxes and velocities."""
        return Motion(self.values[:, :COLUMNS])

    @property
    def seen(self) -> Motion:
        """The motion as it was at the last detection."""
        return Motion(self.values[:, _SEEN])

    @property
    def ids(self) -> Doubles:
        """``(T,)`` ids from 1; 0 for a track that is not confirmed."""
        return self.values[:, _ID]

    @property
    def hits(self) -> Doubles:
        """``(T,)`` number of detections: of all, or in consecutive updates."""
        return self.values[:, _HITS]

    @property
    def lost(self) -> Doubles:
        """``(T,)`` time in frames since the last detection."""
        return self.values[:, _LOST]

    @property
    def missed(self) -> Doubles:
        """``(T,)`` number of updates since the last detection."""
        return self.values[:, _MISSED]

    @property
    def scores(self) -> Doubles:
        """``(T,)`` score, averaged over time."""
        return self.values[:, _SCORE]

    @property
    def labels(self) -> Doubles:
        """``(T,)`` class with the largest sum of scores; of equals the first."""
        return self.values[:, _LABEL]

    def keep(self, mask: Flags) -> None:
        """Drop all other tracks."""
        if not mask.all():
            self.values, self.votes = self.values[mask], self.votes[mask]

    def add(self, other: TrackTable) -> None:
        """Append other tracks, with at most as many classes."""
        if len(other):
            self.values, self.votes = np.concatenate([self.values, other.values]), np.concatenate([self.votes, other.votes])

    def add_classes(self, classes: int) -> None:
        """Make room for the votes of at least this many classes."""
        missing = classes - self.votes.shape[1]
        if missing > 0:
            self.votes = np.pad(self.votes, ((0, 0), (0, missing)))

    def predict(self, motion: Motion, frames: float) -> None:
        """Move all tracks on in time."""
        self.values[:, :COLUMNS] = motion.values
        self.lost[:] += frames
        self.missed[:] += 1

    def observe(self, tracks: Integers, motion: Motion, scores: Doubles, labels: Integers, momentum: float) -> None:
        """Set the motion of tracks that have a detection, and add its score and class.

        Args:
            tracks: ``(M,)`` indices of the tracks, all different.
            motion: Their states after the observation.
            scores: ``(M,)`` scores of their detections.
            labels: ``(M,)`` classes of their detections.
            momentum: Share of the previous score.
        """
        self.votes[tracks, labels] += scores
        rows = self.values[tracks]
        rows[:, :COLUMNS] = rows[:, _SEEN] = motion.values
        rows[:, _HITS] += 1
        rows[:, _LOST] = rows[:, _MISSED] = 0
        rows[:, _SCORE] = momentum * rows[:, _SCORE] + (1 - momentum) * scores
        rows[:, _LABEL] = self.votes[tracks].argmax(1)
        self.values[tracks] = rows
