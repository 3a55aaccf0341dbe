"""The fitted learning curve, and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from detkit.comparison.fractions import fit, learning_curve
from detkit.comparison.statistics import Sample

IMAGES = (25, 50, 100, 200)


def truth(images: float) -> float:
    return 0.7 - 1.5 * images**-0.5


def test_a_power_law_is_recovered() -> None:
    law = fit(IMAGES, np.array([[truth(count)] for count in IMAGES]))
    assert law.at(400)[0] == pytest.approx(truth(400), abs=2e-3)
    flat = fit(IMAGES, np.full((4, 1), 0.4))
    assert flat.at(1000)[0] == pytest.approx(0.4)
    falling = fit(IMAGES, np.array([[0.5], [0.45], [0.4], [0.3]]))
    assert falling.loss[0] == 0
    steep = fit(IMAGES, np.array([[0.1], [0.4], [0.7], [0.99]]))
    assert steep.ceiling[0] <= 1


def test_the_interval_covers_the_truth_at_twice_the_images() -> None:
    random, covered = np.random.default_rng(0), 0
    for _ in range(25):
        runs = []
        for count in IMAGES:
            shift = random.normal(0, 0.01, 3)
            runs.append([Sample(truth(count) + move, truth(count) + move + random.normal(0, 0.01, 100)) for move in shift])
        gain = learning_curve(IMAGES, runs)["fit"]["gain"]
        covered += gain["low"] <= truth(400) - truth(200) <= gain["high"]
    assert covered >= 21


def test_two_points_are_no_curve() -> None:
    runs = [[Sample(0.5, np.full(10, 0.5))]] * 2
    curve = learning_curve(IMAGES[:2], runs)
    assert curve["fit"] is None
    assert [point["images"] for point in curve["points"]] == [25, 50]
