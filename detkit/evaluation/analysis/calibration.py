"""Calibration: whether a score of .7 means that 70 % of the detections are correct."""

from __future__ import annotations

from dataclasses import dataclass


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
