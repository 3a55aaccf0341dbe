"""Intervals of a comparison: over the images by a bootstrap that is the same for all detectors, and over the seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.comparison.detections import Table
from detkit.evaluation.analysis.intervals import CONFIDENCE, percentile_interval
from detkit.evaluation.analysis.matching import COCO_RANGES, IOU_THRESHOLDS, match
from detkit.evaluation.analysis.weighted import Entries
from detkit.evaluation.ground_truth import GroundTruth

Floats = NDArray[np.float64]
RESAMPLES = 2000
METRICS = {"AP": slice(0, 10), "AP50": slice(0, 1), "AP75": slice(5, 6)}
"""Metrics with intervals, and their IoU thresholds."""
MOST_CLASSES = 100
"""Of more classes, single ones get no intervals, which would take gigabytes."""
CHUNK_BYTES = 64e6
"""Memory for the metrics of all classes on some of the resamples."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its intervals at 95 %.

    Attributes:
        mean: The mean over the seeds.
        images: Half-widths (below, above) of the interval over the choice of the test images, from a bootstrap.
        seeds: Half-width of the interval over the seeds of the training, from Student's t distribution; NaN for one seed.
        limits: Smallest and largest possible value, beyond which Student's t can reach.
    """

    mean: float
    images: tuple[float, float]
    seeds: float
    limits: tuple[float, float] = (-1.0, 1.0)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval over images and seeds: the two half-widths add up as independent errors do."""
        seeds = 0.0 if math.isnan(self.seeds) else self.seeds
        low, high = (math.hypot(width, seeds) for width in self.images)
        if math.isnan(low) or math.isnan(high):
            return math.nan, math.nan
        return max(self.mean - low, self.limits[0]), min(self.mean + high, self.limits[1])

    @property
    def is_certain(self) -> bool:
        """Whether the interval excludes 0; for differences."""
        low, high = self.interval
        return low > 0 or high < 0

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON."""
        low, high = self.interval
        below, above = self.images
        images = [self.mean - below, self.mean + above]
        return {"mean": self.mean, "low": low, "high": high, "image_interval": images, "seed_half_width": self.seeds}


@dataclass(frozen=True, eq=False)
class Sample:
    """A metric of one run on the test images.

    Attributes:
        value: Its value.
        resamples: ``(B,)`` its value on each bootstrap resample of the images; every run has the same resamples.
    """

    value: float
    resamples: Floats


Samples = Mapping[str, Sample]
"""By metric: ``AP``, ``AP50``, ``AP75``, and ``AP:class`` and so on."""


def image_weights(images: int, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.int32]:
    """Return how often each image is in each resample, ``(images, 1 + resamples)``; the first column is the images themselves."""
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), resamples).T
    return np.ascontiguousarray(np.concatenate([np.ones((images, 1), np.int32), counts], axis=1), np.int32)


def samples(truth: GroundTruth, table: Table, weights: NDArray[np.int32]) -> dict[str, Sample]:
    """Return the metrics of one run with their bootstrap resamples.

    Args:
        truth: The ground truth.
        table: The detections of the run.
        weights: See :func:`image_weights`.
    """
    matching = match(truth, table, COCO_RANGES[:1], IOU_THRESHOLDS)
    entries = Entries.of(matching, 0, COCO_RANGES[0], len(IOU_THRESHOLDS))
    names, step = tuple(truth.categories.values()), max(1, int(CHUNK_BYTES / (8 * 4 * len(IOU_THRESHOLDS) * len(truth.categories))))
    parts: dict[str, list[Floats]] = {}
    for start in range(0, weights.shape[1], step):
        precision = entries.evaluate(np.ascontiguousarray(weights[:, start : start + step]))[:, 0]  # (K, T, B)
        for name, levels in METRICS.items():
            by_class = precision[:, levels].mean(axis=1)
            parts.setdefault(name, []).append(_mean_of_known(by_class))
            for label, text in enumerate(names if len(names) <= MOST_CLASSES else ()):
                parts.setdefault(f"{name}:{text}", []).append(by_class[label])
    return {name: _sample(np.concatenate(values)) for name, values in parts.items()}


def _mean_of_known(values: Floats) -> Floats:
    """Return the mean over the classes with objects."""
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _sample(values: Floats) -> Sample:
    return Sample(float(values[0]), values[1:])


def estimate(runs: Sequence[Sample]) -> Estimate:
    """Return the mean of a metric over the runs of one detector."""
    mean, resamples = _mean(runs)
    return Estimate(mean, _half_widths(mean, resamples), _seed_half_width([[run.value for run in runs]]), (0.0, 1.0))


def difference(runs: Sequence[Sample], others: Sequence[Sample]) -> tuple[Estimate, float]:
    """Return the difference of two detectors on the same images, and the fraction of resamples in which the first one is better.

    The images are paired; the seeds are not, as runs with the same seed have nothing in common.
    """
    (mean, resamples), (other_mean, other_resamples) = _mean(runs), _mean(others)
    values = resamples - other_resamples
    value = mean - other_mean
    seeds = _seed_half_width([[run.value for run in part] for part in (runs, others)])
    known = values[np.isfinite(values)]
    wins = float((known > 0).mean() + 0.5 * (known == 0).mean()) if len(known) else math.nan
    return Estimate(value, _half_widths(value, values), seeds), wins


def known_mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are neither None nor NaN; None if there is none."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return sum(known) / len(known) if known else None


def has_masks(results: Mapping[str, Any]) -> bool:
    """Return whether all entries of ``compare.json`` have the metrics of masks."""
    return bool(results["entries"]) and all(row.get("test_masks") is not None for row in results["entries"])


def ranked(entries: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the entries of ``compare.json`` with their positions, highest AP first; those without an AP are last."""

    def order(item: tuple[int, Mapping[str, Any]]) -> float:
        value = item[1]["estimates"]["AP"]["mean"]
        return math.inf if value is None or math.isnan(value) else -value

    return sorted(enumerate(entries), key=order)


def _mean(runs: Sequence[Sample]) -> tuple[float, Floats]:
    return float(np.mean([run.value for run in runs])), np.mean([run.resamples for run in runs], axis=0)


def _half_widths(value: float, resamples: Floats) -> tuple[float, float]:
    low, high = percentile_interval(resamples[np.isfinite(resamples)])
    if math.isnan(low) or math.isnan(value):
        return math.nan, math.nan
    return max(0.0, value - low), max(0.0, high - value)


def _seed_half_width(parts: Sequence[Sequence[float]]) -> float:
    """Return the half-width of the interval of a mean, or of a difference of two means, by Student's t (Welch, 1947); NaN if unknown.

    A part with one run, such as a detector that is evaluated as it is, counts as known exactly, unless all parts are so.
    """
    from scipy.stats import t

    terms = [(float(np.var(part, ddof=1)) / len(part), len(part) - 1) for part in parts if len(part) > 1]
    if not terms:
        return math.nan
    variance = sum(term for term, _ in terms)
    if not variance > 0:
        return 0.0
    freedom = variance**2 / sum(term**2 / count for term, count in terms)
    return float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(variance)
