"""Difference between two detectors, with confidence intervals from a paired bootstrap over the images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detkit.evaluation.analysis.intervals import coco_entries, evaluate_weighted, percentile_interval, resampled
from detkit.evaluation.analysis.matching import COCO_RANGES, IOU_THRESHOLDS, match
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.numbers import COCO_NAMES

RESAMPLES = 2000
"""Bootstrap resamples: each draws as many images as there are, with replacement."""


@dataclass(frozen=True)
class Difference:
    """One COCO metric of two detectors on the same images.

    Attributes:
        name: Name of the metric, a key of ``COCO_NAMES``.
        own: Value of the first detector.
        other: Value of the second detector.
        low: Lower bound of the interval: one resample in forty gives a smaller difference.
        high: Upper bound of the interval: one resample in forty gives a larger difference.
    """

    name: str
    own: float
    other: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """The difference, positive if the first detector is better."""
        return self.own - self.other

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON-serializable dict."""
        return {**asdict(self), "difference": self.value}


def differences(truth: GroundTruth, own: Any, other: Any, resamples: int = RESAMPLES, seed: int = 0) -> tuple[Difference, ...]:
    """Compare the COCO metrics of two sets of detections with a paired bootstrap over the images.

    Images are resampled with replacement, the same for both detectors, and the percentiles of the differences are reported (Efron, 1979).
    The intervals cover the uncertainty due to the choice of images, not the variation between training runs.

    Args:
        truth: The ground truth.
        own: Checked results: rows, or an ``(N, 7)`` array of image id, x, y, width, height, score, category id.
        other: Checked results of the other detector.
        resamples: Number of bootstrap resamples.
        seed: Random seed of the resampling.

    Returns:
        One row for each COCO metric for which the ground truth has objects.

    Raises:
        ValueError: If ``resamples`` is below 1.
    """
    if resamples < 1:
        raise ValueError(f"resamples: expected at least 1, got {resamples}")
    images = len(truth.image_ids)
    every = np.ones((images, 1))
    own_entries, other_entries = (coco_entries(match(truth, results, COCO_RANGES, IOU_THRESHOLDS)) for results in (own, other))
    values, baseline = (evaluate_weighted(entries, every)[:, 0].tolist() for entries in (own_entries, other_entries))
    # The same seed draws the same images.
    samples = resampled(own_entries, images, resamples, seed) - resampled(other_entries, images, resamples, seed)
    rows = zip(COCO_NAMES, values, baseline, samples, strict=False)  # what follows are the classes
    return tuple(Difference(name, value, base, *percentile_interval(row)) for name, value, base, row in rows if value == value)
