from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from detkit.evaluation.analysis.calibration import Calibration, calibrations
from detkit.evaluation.analysis.matches import Matches


def direct_error(scores: Any, correct: Any) -> float:
    """The expected calibration error as it is defined, one bin after another."""
    error = 0.0
    for number in range(10):
        inside = [index for index, score in enumerate(scores) if number / 10 <= score < (number + 1) / 10 or number == 9 <= score * 9]
        if inside:
            gap = np.mean([correct[index] for index in inside]) - np.mean([scores[index] for index in inside])
            error += len(inside) / len(scores) * abs(gap)
    return float(error)


def test_error_is_that_of_a_direct_computation(difficult_scene: Any) -> None:
    truth, results = difficult_scene(detected=0.8)
    matches = Matches.of(truth, results)
    everything, *classes = calibrations(truth, matches)
    assert everything.ece == pytest.approx(direct_error(matches.scores, matches.correct), rel=1e-12)
    assert everything.ece > 0.05
    for row, category_id in zip(classes[:3], truth.categories, strict=False):
        rows = matches.category == category_id
        assert row.ece == pytest.approx(direct_error(matches.scores[rows], matches.correct[rows]), rel=1e-12)
        assert sum(part.count for part in row.bins) == rows.sum()
    assert math.isnan(classes[3].ece)


def test_bins_hold_their_lower_bound_and_the_last_one_everything_above() -> None:
    scores = np.array([-0.5, 0.0, 0.0999, 0.1, 0.3, 0.9, 1.0, 1.5])
    bins = Calibration.of("all", scores, np.ones(8, np.bool_)).bins
    assert [part.count for part in bins] == [3, 1, 0, 1, 0, 0, 0, 0, 0, 3]
    assert (bins[1].score, bins[1].precision) == (0.1, 1.0)
    assert math.isnan(bins[2].score)


def test_scores_that_are_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(200_000)
    correct = rng.random(200_000) < scores
    assert Calibration.of("all", scores, correct).ece < 0.005
    assert Calibration.of("all", scores**2, correct).ece > 0.1
