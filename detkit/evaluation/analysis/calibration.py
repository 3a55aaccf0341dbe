"""Calibration: whether a score of .7 means that 70 % of the detections are correct."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.checkpoint.operating_points import ALL
from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.analysis.matching import Flags
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Floats

BINS = 10
"""Number of bins, which have the same width."""


@dataclass(frozen=True)
class CalibrationBin:
    """Detections whose scores are in ``[low, high)``; the last bin includes 1.

    Attributes:
        low: Lower bound of the scores.
        high: Upper bound of the scores.
        count: Number of detections.
        score: Mean score; NaN if there are none.
        precision: Fraction that is correct at IoU .5; NaN if there are none.
    """

    low: float
    high: float
    count: int
    score: float
    precision: float


@dataclass(frozen=True)
class Calibration:
    """Calibration of one class, or of all.

    Attributes:
        name: Name of the class, or ``"all"``.
        ece: Expected calibration error (Guo et al., ICML 2017): mean distance of score and precision over the bins, weighted by their
            numbers of detections; NaN without detections.
        bins: The bins, in ascending order.
    """

    name: str
    ece: float
    bins: tuple[CalibrationBin, ...]

    @classmethod
    def of(cls, name: str, scores: Floats, correct: Flags, bins: int = BINS) -> Calibration:
        """Return the calibration of detections; scores outside of [0, 1] fall into the first or last bin."""
        edges = np.arange(bins + 1) / bins  # exactly .3, unlike linspace's
        index = np.searchsorted(edges[1:-1], scores, side="right")
        counts = np.bincount(index, minlength=bins)
        with np.errstate(invalid="ignore"):
            mean = np.bincount(index, scores, bins) / counts
            precision = np.bincount(index, correct, bins) / counts
        rows = zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), mean.tolist(), precision.tolist(), strict=True)
        filled = counts > 0
        error = np.sum(counts[filled] * np.abs(mean - precision)[filled]) / len(scores) if len(scores) else np.nan
        return cls(name, float(error), tuple(CalibrationBin(*row) for row in rows))


def calibrations(truth: GroundTruth, matches: Matches) -> tuple[Calibration, ...]:
    """Return the calibration of all classes together, then that of each class in the order of category ids."""
    by_class = [
        Calibration.of(name, matches.scores[rows], matches.correct[rows])
        for name, rows in zip(truth.categories.values(), matches.rows_by_class(truth), strict=True)
    ]
    return (Calibration.of(ALL, matches.scores, matches.correct), *by_class)
