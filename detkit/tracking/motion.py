"""A Kalman filter with constant velocity for many boxes at once.

Each of the four coordinates of a box has a position and a velocity. They do not influence one another and have the same noise, so all
coordinates of a track share one covariance, and an update is a few operations on arrays of all tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles, Flags, Integers

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
    """The state of ``T`` tracks.

    Attributes:
        positions: ``(T, 4)`` ``x1 y1 x2 y2``.
        velocities: ``(T, 4)`` pixels per frame.
        covariances: ``(T, 3)`` variance of the position, covariance of position and velocity, variance of the velocity.
    """

    positions: Doubles
    velocities: Doubles
    covariances: Doubles

    def __len__(self) -> int:
        return len(self.positions)

    @classmethod
    def of(cls, boxes: Doubles, noise: Noise) -> Motion:
        """Return the state of new tracks, which do not move, from their boxes ``(T, 4)``."""
        covariances = np.tile([noise.initial, 0.0, noise.initial], (len(boxes), 1))
        return cls(boxes.astype(np.float64), np.zeros((len(boxes), 4)), covariances)

    def __getitem__(self, rows: Flags | Integers) -> Motion:
        """Return the tracks that a mask or indices select."""
        return Motion(self.positions[rows], self.velocities[rows], self.covariances[rows])

    def replaced(self, rows: Flags | Integers, values: Motion) -> Motion:
        """Return a copy in which the tracks of a mask or of indices have other states."""
        arrays = [array.copy() for array in (self.positions, self.velocities, self.covariances)]
        for array, new in zip(arrays, (values.positions, values.velocities, values.covariances), strict=True):
            array[rows] = new
        return Motion(*arrays)

    @staticmethod
    def cat(first: Motion, second: Motion) -> Motion:
        """Return the tracks of both."""
        return Motion(
            np.concatenate([first.positions, second.positions]),
            np.concatenate([first.velocities, second.velocities]),
            np.concatenate([first.covariances, second.covariances]),
        )

    def predicted(self, frames: Doubles | float, noise: Noise, frame_rate: float) -> Motion:
        """Return the states after some time.

        Args:
            frames: Time in frames, one number or ``(T, 1)``.
            noise: Variances of one frame.
            frame_rate: Frames per second.
        """
        variance, covariance, velocity = self.covariances.T
        step = np.broadcast_to(np.asarray(frames, np.float64), (len(self), 1))[:, 0]
        added = _process_noise(step, noise, frame_rate)
        covariances = np.stack(
            [
                variance + 2 * step * covariance + step**2 * velocity + added[0],
                covariance + step * velocity + added[1],
                velocity + added[2],
            ],
            axis=1,
        )
        return Motion(self.positions + step[:, None] * self.velocities, self.velocities, covariances)

    def updated(self, boxes: Doubles, noise: Noise) -> Motion:
        """Return the states after an observation of every track, ``(T, 4)``."""
        variance, covariance, velocity = self.covariances.T
        total = variance + noise.measurement
        gain, velocity_gain = variance / total, covariance / total
        innovation = boxes - self.positions
        covariances = np.stack([(1 - gain) * variance, (1 - gain) * covariance, velocity - velocity_gain * covariance], axis=1)
        positions = self.positions + gain[:, None] * innovation
        return Motion(positions, self.velocities + velocity_gain[:, None] * innovation, covariances)


def _process_noise(step: Doubles, noise: Noise, frame_rate: float) -> tuple[Doubles, Doubles, Doubles]:
    """Return what is added to the three covariances: the variances of one frame, and for other times those of a random acceleration."""
    one = np.abs(step - 1) <= _NOMINAL_SECONDS * frame_rate
    position = np.where(one, noise.process, noise.process * step**4 / 4)
    velocity = np.where(one, noise.process, noise.process * step**2)
    return position, np.where(one, 0.0, noise.process * step**3 / 2), velocity
