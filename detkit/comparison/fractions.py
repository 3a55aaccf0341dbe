"""Would more labels help? AP over nested fractions of the training images, with a power law and its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.comparison.statistics import Sample, estimate
from detkit.evaluation.analysis.intervals import percentile_interval

Floats = NDArray[np.float64]
EXPONENTS: Floats = np.geomspace(0.05, 2.0, 60)
"""Exponents that are tried; the other two numbers of the power law follow by least squares."""
FEWEST_POINTS = 3
MORE = 2.0
"""Factor of the training images for which the curve predicts."""


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """``AP = ceiling - loss * images ** -exponent``, a curve for each bootstrap resample; the first one is that of the data itself.

    Attributes:
        ceiling: ``(B,)``, at most 1.
        loss: ``(B,)``, at least 0: more images never cost AP.
        exponent: ``(B,)``.
    """

    ceiling: Floats
    loss: Floats
    exponent: Floats

    def at(self, images: float) -> Floats:
        """Return the AP ``(B,)`` of each curve."""
        return self.ceiling - self.loss * images**-self.exponent


def fit(images: Sequence[float], values: Floats) -> PowerLaw:
    """Fit a power law to each column of ``values`` ``(P, B)``, the AP with the numbers of ``images`` ``(P,)``, by least squares."""
    sizes = np.asarray(images, np.float64)
    best = np.full(values.shape[1], np.inf)
    ceiling, loss, exponent = (np.zeros(values.shape[1]) for _ in range(3))
    for power in EXPONENTS:
        x = sizes**-power
        for candidate in _candidates(x, values):
            error = ((candidate[0] - candidate[1] * x[:, None] - values) ** 2).sum(axis=0)
            better = error < best
            best = np.where(better, error, best)
            ceiling, loss = np.where(better, candidate[0], ceiling), np.where(better, candidate[1], loss)
            exponent = np.where(better, power, exponent)
    return PowerLaw(ceiling, loss, exponent)


def _candidates(x: Floats, values: Floats) -> list[tuple[Floats, Floats]]:
    """Return the least squares ceiling and loss within their limits: inside, or at either limit."""
    centered = x - x.mean()
    slope = -(centered[:, None] * values).sum(axis=0) / (centered**2).sum()
    inside = np.maximum(slope, 0.0)
    free = values.mean(axis=0) + inside * x.mean()
    at_one = np.maximum(((1.0 - values) * x[:, None]).sum(axis=0) / (x**2).sum(), 0.0)
    fits = free <= 1.0
    return [(np.where(fits, free, 1.0), np.where(fits, inside, at_one))]


def learning_curve(images: Sequence[int], runs: Sequence[Sequence[Sample]], seed: int = 0) -> dict[str, Any]:
    """Return AP over the number of training images, the fitted curve, and what more images would bring.

    Args:
        images: Numbers of training images, in ascending order.
        runs: The AP of each run with each number of images.
        seed: Random seed with which the runs are resampled.
    """
    points = [{"images": count, **estimate(part).to_dict()} for count, part in zip(images, runs, strict=True)]
    if len(images) < FEWEST_POINTS:
        return {"points": points, "fit": None, "answer": f"A curve needs at least {FEWEST_POINTS} fractions."}
    law = fit(images, np.stack([_resampled(part, np.random.default_rng(seed + index)) for index, part in enumerate(runs)]))
    more = MORE * images[-1]
    gain = law.at(more) - law.at(images[-1])
    grid = np.geomspace(images[0], more, 40)
    curve = [{"images": float(count), **_interval(law.at(float(count)))} for count in grid]
    numbers = {"ceiling": float(law.ceiling[0]), "loss": float(law.loss[0]), "exponent": float(law.exponent[0])}
    found: dict[str, Any] = {**numbers, "curve": curve, "images": more, "gain": _interval(gain)}
    return {"points": points, "fit": found, "answer": _answer(found["gain"], images[-1], int(more))}


def _resampled(runs: Sequence[Sample], random: np.random.Generator) -> Floats:
    """Return the mean over the runs ``(1 + B,)``: itself, then with images and runs drawn with replacement."""
    values = np.stack([run.resamples for run in runs])
    drawn = random.integers(0, len(runs), (len(runs), values.shape[1]))
    means = np.take_along_axis(values, drawn, axis=0).mean(axis=0)
    return np.concatenate([[float(np.mean([run.value for run in runs]))], means])


def _interval(values: Floats) -> dict[str, float]:
    low, high = percentile_interval(values[1:][np.isfinite(values[1:])])
    return {"mean": float(values[0]), "low": low, "high": high}


def _answer(gain: Mapping[str, float], images: int, more: int) -> str:
    text = f"{gain['mean']:+.3f} AP ({gain['low']:+.3f} to {gain['high']:+.3f})"
    if not math.isfinite(gain["mean"]) or not math.isfinite(gain["low"]):
        return "These images do not show whether more labels would help."
    return f"By the fitted curve, {more:,} instead of {images:,} labeled images would change AP by {text}."
