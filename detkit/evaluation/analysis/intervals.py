"""Confidence intervals of a detector's COCO metrics, from a bootstrap over the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
