"""Difference between two detectors, with confidence intervals from a paired bootstrap over the images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from detkit.evaluation.coco_curves import hotcoco_evaluation
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.numbers import COCO_NAMES

RESAMPLES = 2000
"""Bootstrap resamples: each draws as many images as there are, with replacement."""
CONFIDENCE = 0.95
"""Confidence level of the intervals: the fraction of resamples whose difference is inside."""


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
    import hotcoco

    ground_truth = hotcoco.COCO(truth.to_dict())
    first, second = (hotcoco_evaluation(ground_truth, ground_truth.load_res(results)) for results in (other, own))
    # hotcoco treats its first argument as the baseline.
    comparison = hotcoco.compare(first, second, n_bootstrap=resamples, seed=seed, confidence=CONFIDENCE)
    values, baseline = comparison["metrics_b"], comparison["metrics_a"]
    return tuple(
        Difference(name, values[name], baseline[name], comparison["ci"][name]["lower"], comparison["ci"][name]["upper"])
        for name in COCO_NAMES
        if min(values[name], baseline[name]) > -1
    )
