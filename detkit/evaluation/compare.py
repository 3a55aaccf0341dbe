"""How sure the difference between two detectors is: both judged again and again on images drawn by lot."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from detkit.evaluation.engines import hotcoco_evaluation
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.numbers import COCO_NAMES

DRAWS = 2000
"""Draws of as many images as there are, each of which may come several times."""
CONFIDENCE = 0.95
"""Part of the draws whose differences lie in an interval."""


@dataclass(frozen=True)
class Difference:
    """One COCO number of two detectors on the same images.

    Attributes:
        name: Which number.
        own: The first detector's.
        other: The second's.
        low: One draw in forty gives a difference below this.
        high: One draw in forty gives one above this.
    """

    name: str
    own: float
    other: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """By how much the first is higher."""
        return self.own - self.other

    @property
    def sure(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "difference": self.value}


def differences(truth: GroundTruth, own: Any, other: Any, draws: int = DRAWS, seed: int = 0) -> tuple[Difference, ...]:
    """The COCO numbers of two sets of detections and their differences, with intervals from a paired bootstrap over images.

    Images are drawn with replacement, the same for both, and the percentiles of the differences are told (Efron, 1979). It says how much
    hangs on these images being the ones that were looked at; what another training would give is not in it.

    Args:
        truth: The ground truth.
        own: Checked results: rows, or an ``(N, 7)`` array of image id, x, y, width, height, score, category id.
        other: Those of the other detector.
        draws: How often images are drawn.
        seed: Of the drawing.

    Returns:
        One row a COCO number for which the ground truth has objects.

    Raises:
        ValueError: ``draws`` is below 1.
    """
    if draws < 1:
        raise ValueError(f"expected at least one draw, got {draws}")
    import hotcoco

    ground_truth = hotcoco.COCO(truth.to_dict())
    first, second = (hotcoco_evaluation(ground_truth, ground_truth.load_res(results)) for results in (other, own))
    # It takes the first as what the second is compared with.
    found = hotcoco.compare(first, second, n_bootstrap=draws, seed=seed, confidence=CONFIDENCE)
    values, before = found["metrics_b"], found["metrics_a"]
    return tuple(
        Difference(name, values[name], before[name], found["ci"][name]["lower"], found["ci"][name]["upper"])
        for name in COCO_NAMES
        if min(values[name], before[name]) > -1
    )
