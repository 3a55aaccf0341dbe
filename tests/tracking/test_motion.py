"""The motion model of the trackers, against the equations of the Kalman filter in matrices."""

from __future__ import annotations

import numpy as np
import pytest

from detkit.tracking.motion import Motion, Noise

NOISE = Noise(0.02, 0.3, 2.0)


def reference(boxes: np.ndarray, steps: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Filter one coordinate of successive observations with matrices; the first observation starts the track."""
    state, covariance = np.array([boxes[0], 0.0]), np.eye(2) * NOISE.initial
    observe = np.array([[1.0, 0.0]])
    for value, step in zip(boxes[1:], steps, strict=True):
        transition = np.array([[1.0, step], [0.0, 1.0]])
        noise = np.eye(2) if step == 1 else np.array([[step**4 / 4, step**3 / 2], [step**3 / 2, step**2]])
        state, covariance = transition @ state, transition @ covariance @ transition.T + noise * NOISE.process
        gain = covariance @ observe.T / (observe @ covariance @ observe.T + NOISE.measurement)
        state = state + (gain * (value - observe @ state)).reshape(2)
        covariance = (np.eye(2) - gain @ observe) @ covariance
    return state, covariance


@pytest.mark.parametrize("steps", [[1.0] * 6, [1.0, 3.0, 0.5, 1.0, 7.0, 2.0]])
def test_filter_equals_that_of_matrices(steps: list[float]) -> None:
    observed = np.random.default_rng(0).normal(50, 20, (7, 3, 4))
    motion = Motion.of(observed[0], NOISE)
    for boxes, step in zip(observed[1:], steps, strict=True):
        motion = motion.predicted(step, NOISE, 30).updated(boxes, NOISE)
    for track in range(3):
        for coordinate in range(4):
            state, covariance = reference(observed[:, track, coordinate], steps)
            np.testing.assert_allclose([motion.positions[track, coordinate], motion.velocities[track, coordinate]], state, rtol=1e-12)
            np.testing.assert_allclose(motion.covariances[track], covariance[[0, 0, 1], [0, 1, 1]], rtol=1e-12)


def test_jitter_of_the_clock_is_one_frame() -> None:
    motion = Motion.of(np.array([[0.0, 0.0, 10.0, 10.0]]), NOISE)
    one, near, far = (motion.predicted(step, NOISE, 30).covariances for step in (1.0, 1.1, 1.2))
    np.testing.assert_allclose(near[0, 2], one[0, 2])
    assert far[0, 2] > one[0, 2]
