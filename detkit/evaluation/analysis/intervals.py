"""Confidence intervals of a detector's COCO metrics, from a bootstrap over the images."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.evaluation.analysis.matching import COCO_RANGES, IOU_THRESHOLDS, Matching, match
from detkit.evaluation.analysis.weighted import Entries
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.numbers import COCO_NAMES
from detkit.evaluation.results import Floats

RESAMPLES = 1000
"""Bootstrap resamples: each draws as many images as there are, with replacement."""
CONFIDENCE = 0.95
"""Confidence level of the intervals."""
_BATCH, _MANY = 16, 100_000
BIAS_RATIO = 1 / (math.sqrt(2) - 1)
"""Bias of a metric, as a multiple of the bias that resampling adds to it.

Precision is made non-increasing by a maximum, so that AP of few images is too high by some b in proportion to its standard deviation. A
resample has twice the variance around the truth, hence a bias of sqrt(2) b, of which only (sqrt(2) - 1) b shows as a difference from the
value. Simulations agree (``tests/evaluation/analysis/interval_coverage.py``): ratios of 2.3 to 2.7.
"""
WIDENING = 1.08
"""Factor of the width: in simulations, the corrected value varies 5 % more than the value, and the resamples 3 % less."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval; both bounds are NaN where the metric does not exist."""

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """95 % confidence intervals; they cover the choice of the images, not the variation between training runs.

    Attributes:
        metrics: Interval of each COCO metric, by the names in :data:`~detkit.evaluation.numbers.COCO_NAMES`.
        classes: Interval of the AP (IoU .50 to .95) of each class, in the order of category ids.
        resamples: Number of bootstrap resamples.
        seed: Random seed of the resampling.
    """

    metrics: Mapping[str, Interval]
    classes: tuple[Interval, ...]
    resamples: int
    seed: int


def metric_intervals(truth: GroundTruth, results: Any, resamples: int = RESAMPLES, seed: int = 0) -> Intervals:
    """Return confidence intervals of the COCO metrics and of the AP of each class.

    Images are resampled with replacement, and the percentiles of the resamples (Efron, 1979) are corrected for bias by :data:`BIAS_RATIO`,
    and widened by :data:`WIDENING`.
    The bounds of a class with few objects are too close: if all are detected perfectly, both are 1.

    Args:
        truth: The ground truth.
        results: Checked results: rows, or an ``(N, 7)`` array as in :func:`~detkit.evaluation.coco_curves.curves`.
        resamples: Number of bootstrap resamples.
        seed: Random seed of the resampling.

    Raises:
        ValueError: If ``resamples`` is below 1.
    """
    return intervals_of(match(truth, results, COCO_RANGES, IOU_THRESHOLDS), resamples, seed)


def intervals_of(matching: Matching, resamples: int = RESAMPLES, seed: int = 0) -> Intervals:
    """Return the intervals of a matching whose first area ranges are COCO's, at COCO's IoU thresholds; see :func:`metric_intervals`."""
    if resamples < 1:
        raise ValueError(f"resamples: expected at least 1, got {resamples}")
    entries = coco_entries(matching)
    own = evaluate_weighted(entries, np.ones((matching.images, 1)))[:, 0]
    samples = resampled(entries, matching.images, resamples, seed)
    rows = [corrected_interval(float(value), row) for value, row in zip(own, samples, strict=True)]
    return Intervals(dict(zip(COCO_NAMES, rows, strict=False)), tuple(rows[len(COCO_NAMES) :]), resamples, seed)


def coco_entries(matching: Matching) -> tuple[Entries, ...]:
    """Return the entries of COCO's area ranges."""
    return tuple(Entries.of(matching, index, area, len(IOU_THRESHOLDS)) for index, area in enumerate(COCO_RANGES))


def resampled(entries: Sequence[Entries], images: int, resamples: int, seed: int) -> Floats:
    """Return the metrics of :func:`evaluate_weighted` ``(12 + K, resamples)`` on images drawn with replacement.

    They depend on the seed alone, not on the number of processor cores; the same seed draws the same images for another detector.
    """
    size = _BATCH if sum(len(one.detections[0]) for one in entries) > _MANY else 4 * _BATCH

    def batch(first: int) -> Floats:
        draws = [np.random.default_rng((seed, number)).integers(0, images, images) for number in range(first, min(first + size, resamples))]
        weights = [np.bincount(draw, minlength=images) for draw in draws]
        return evaluate_weighted(entries, np.stack(weights, axis=1).astype(np.float64))

    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="detkit-bootstrap") as pool:  # the kernels release the GIL
        return np.concatenate(list(pool.map(batch, range(0, resamples, size))), axis=1)


def evaluate_weighted(entries: Sequence[Entries], weights: Floats) -> Floats:
    """Return the 12 COCO metrics and the AP of each class ``(12 + K, B)`` at each column of the weights ``(I, B)`` of the images."""
    every, *sizes = (one.evaluate(weights) for one in entries)
    metrics = [every[:, 0], every[:, 0, [0]], every[:, 0, [5]], *(size[:, 0] for size in sizes)]
    metrics += [every[:, 2], every[:, 3], every[:, 1], *(size[:, 1] for size in sizes)]
    return np.concatenate([np.stack([_mean(metric) for metric in metrics]), every[:, 0].mean(1)])


def _mean(metric: Floats) -> Floats:
    """Return the means ``(B,)`` of ``(K, T, B)`` values over the classes with objects, or NaN if there are none."""
    known = ~np.isnan(metric)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.sum(metric, axis=(0, 1), where=known) / known.sum((0, 1))
    return mean


def percentile_interval(samples: Floats) -> tuple[float, float]:
    """Return the percentile interval of resamples (Efron, 1979) without those that are NaN; two NaN if there are no others."""
    samples = samples[~np.isnan(samples)]
    if not len(samples):
        return float("nan"), float("nan")
    low, high = np.quantile(samples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def corrected_interval(value: float, samples: Floats) -> Interval:
    """Return the percentile interval of a value in [0, 1] from its resamples, corrected for bias; resamples that are NaN are left out."""
    samples = samples[~np.isnan(samples)]
    if np.isnan(value) or not len(samples):
        return Interval(float("nan"), float("nan"))
    mean = samples.mean()
    distances = np.quantile(samples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) - mean
    bounds = value - BIAS_RATIO * (mean - value) + WIDENING * distances
    low, high = np.clip(bounds, 0.0, 1.0).tolist()
    return Interval(min(low, value), max(high, value))
