"""A Kalman filter with constant velocity for many boxes at once.

Each of the four coordinates of a box has a position and a velocity. They do not influence one another and have the same noise, so all
coordinates of a track share one covariance, and an update is a few operations on arrays of all tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles, Flags, Integers

COLUMNS = 11
"""Numbers of the state of a track: four positions, four velocities, three covariances."""

_NOMINAL_SECONDS = 0.004
"""Difference from the time between two frames that counts as jitter of the clock."""


@dataclass(frozen=True)
class Noise:
    """Variances of the motion model, of one frame.

    Attributes:
        process: Of the position and of the velocity, added at every frame.
        measurement: Of a detected coordinate.
        initial: Of the position and velocity of a new track.
    """

    process: float = 0.01
    measurement: float = 0.1
    initial: float = 1.0


@dataclass(frozen=True, eq=False)
class Motion:
    """The state of ``T`` tracks, as one array, so that selecting tracks is one operation.

    Attributes:
        values: ``(T, 11)`` the columns of ``positions``, ``velocities`` and ``covariances``.
    """

    values: Doubles

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, boxes: Doubles, noise: Noise) -> Motion:
        """Return the state of new tracks, which do not move, from their boxes ``(T, 4)``."""
        values = np.zeros((len(boxes), COLUMNS))
        values[:, :4] = boxes
        values[:, 8] = values[:, 10] = noise.initial
        return cls(values)

    @property
    def positions(self) -> Doubles:
        """``(T, 4)`` ``x1 y1 x2 y2``."""
        return self.values[:, :4]

    @property
    def velocities(self) -> Doubles:
        """``(T, 4)`` pixels per frame."""
        return self.values[:, 4:8]

    @property
    def covariances(self) -> Doubles:
        """``(T, 3)`` variance of the position, covariance of position and velocity, variance of the velocity."""
        return self.values[:, 8:]

    def __getitem__(self, rows: Flags | Integers) -> Motion:
        """Return the tracks that a mask or indices select."""
        return Motion(self.values[rows])

    def predicted(self, frames: Doubles | float, noise: Noise, frame_rate: float) -> Motion:
        """Return the states after some time.

        Args:
            frames: Time in frames, one number or ``(T, 1)``.
            noise: Variances of one frame.
            frame_rate: Frames per second.
        """
        result = self.values.copy()
        variance, covariance, velocity = self.values[:, 8:9], self.values[:, 9:10], self.values[:, 10:]
        added = _process_noise(np.asarray(frames, np.float64), noise, frame_rate)
        result[:, :4] += frames * self.values[:, 4:8]
        result[:, 8:9] = variance + 2 * frames * covariance + frames**2 * velocity + added[0]
        result[:, 9:10] = covariance + frames * velocity + added[1]
        result[:, 10:] += added[2]
        return Motion(result)

    def updated(self, boxes: Doubles, noise: Noise) -> Motion:
        """Return the states after an observation of every track, ``(T, 4)``."""
        result = self.values.copy()
        variance, covariance = self.values[:, 8:9], self.values[:, 9:10]
        total = variance + noise.measurement
        gain, velocity_gain = variance / total, covariance / total
        innovation = boxes - self.values[:, :4]
        result[:, :4] += gain * innovation
        result[:, 4:8] += velocity_gain * innovation
        result[:, 8:10] *= 1 - gain
        result[:, 10:] -= velocity_gain * covariance
        return Motion(result)


def _process_noise(step: Doubles, noise: Noise, frame_rate: float) -> tuple[Doubles, Doubles, Doubles]:
    """Return what is added to the three covariances: the variances of one frame, and for other times those of a random acceleration."""
    one = np.abs(step - 1) <= _NOMINAL_SECONDS * frame_rate
    position = np.where(one, noise.process, noise.process * step**4 / 4)
    velocity = np.where(one, noise.process, noise.process * step**2)
    return position, np.where(one, 0.0, noise.process * step**3 / 2), velocity
