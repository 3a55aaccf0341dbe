"""Confidence intervals of mIoU and pixel accuracy, and of their differences between two models, from a bootstrap over the images."""

from __future__ import annotations

import numpy as np

from detkit.arrays import Doubles
from detkit.evaluation.analysis.intervals import Interval, percentile_interval
from detkit.evaluation.compare import RESAMPLES, Difference
from detkit.evaluation.segmentation import NAMES, SegmentationNumbers

_BATCH = 64
"""Resamples that are drawn together."""


def segmentation_intervals(numbers: SegmentationNumbers, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
    """Return the percentile intervals of the metrics by name; NaN without pixels.

    Args:
        numbers: The metrics.
        resamples: Number of bootstrap resamples; each draws as many images as there are, with replacement.
        seed: Random seed of the resampling.
    """
    return {name: Interval(*percentile_interval(row)) for name, row in zip(NAMES, _resampled(numbers, resamples, seed), strict=True)}


def segmentation_differences(
    own: SegmentationNumbers, other: SegmentationNumbers, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Difference, ...]:
    """Compare the metrics of two models on the same images with a paired bootstrap; see :func:`detkit.evaluation.compare.differences`.

    Args:
        own: Metrics of the first model.
        other: Metrics of the second model.
        resamples: Number of bootstrap resamples.
        seed: Random seed of the resampling.

    Raises:
        ValueError: If the numbers of images differ.
    """
    if own.images != other.images:
        raise ValueError(f"expected metrics of the same images, got {own.images} and {other.images} images")
    samples = _resampled(own, resamples, seed) - _resampled(other, resamples, seed)  # the same seed draws the same images
    rows = zip(NAMES, samples, strict=True)
    return tuple(Difference(name, own.values[name], other.values[name], *percentile_interval(row)) for name, row in rows)


def _resampled(numbers: SegmentationNumbers, resamples: int, seed: int) -> Doubles:
    """Return mIoU, pixel accuracy and mean accuracy ``(3, resamples)`` on images drawn with replacement; NaN without pixels."""
    images, _, classes = numbers.by_image.shape
    counts = numbers.by_image.reshape(images, 3 * classes).astype(np.float64)
    parts = []
    for first in range(0, resamples if images else 0, _BATCH):
        steps = range(first, min(first + _BATCH, resamples))
        draws = [np.random.default_rng((seed, step)).integers(0, images, images) for step in steps]
        weights = np.stack([np.bincount(draw, minlength=images) for draw in draws]).astype(np.float64)
        parts.append(_metrics((weights @ counts).reshape(-1, 3, classes)))
    return np.concatenate(parts, 1) if parts else np.full((3, 1), np.nan)


def _metrics(counts: Doubles) -> Doubles:
    """Return the metrics ``(3, B)`` of pixel counts ``(B, 3, C)``."""
    correct, true, predicted = counts[:, 0], counts[:, 1], counts[:, 2]
    with np.errstate(invalid="ignore"):
        accuracy = correct.sum(1) / true.sum(1)
        return np.stack((_known_mean(correct / (true + predicted - correct)), accuracy, _known_mean(correct / true)))


def _known_mean(values: Doubles) -> Doubles:
    """Return the mean over the classes ``(B, C)`` that exist."""
    known = ~np.isnan(values)
    mean: Doubles = np.where(known, values, 0).sum(1) / known.sum(1)
    return mean
