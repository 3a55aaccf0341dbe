"""Score thresholds that meet a target, such as a precision of .9, with prediction intervals from a bootstrap over images; numpy only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detkit.checkpoint.operating_points import INTERVALS, Evidence, OperatingPoint
from detkit.evaluation.analysis.target import Target
from detkit.evaluation.results import Floats, Integers

RESAMPLES = 2000
CONFIDENCE = 0.95
"""Confidence level of the prediction intervals."""
MARGIN = 0.5
"""Standard errors by which the fitting data must do better than the target, as a score that was selected on them looks too good there."""
MIN_CORRECT = 3
"""Correct detections that a score must keep, as fewer say next to nothing about new images."""
PSEUDO_COUNT = 0.5
"""Added to each kind of count in the bootstrap (Jeffreys' prior), so that three correct detections of three are no proof."""
_CELLS = 2_000_000
"""Numbers that a chunk of resamples holds: resamples times images."""

Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassDetections:
    """The detections of a class, or of all classes counted together.

    Attributes:
        name: Name of the class.
        image: ``(N,)`` index of the image of each detection.
        scores: ``(N,)``.
        correct: ``(N,)`` whether each detection is correct.
        objects: ``(images,)`` number of objects to detect in each image.
    """

    name: str
    image: Integers
    scores: Floats
    correct: Flags
    objects: Integers

    @classmethod
    def pooled(cls, name: str, classes: Sequence[ClassDetections]) -> ClassDetections:
        """Return the detections of all classes counted together; there must be at least one."""
        image, scores, correct = (np.concatenate([getattr(one, key) for one in classes]) for key in ("image", "scores", "correct"))
        return cls(name, image, scores, correct, np.sum([one.objects for one in classes], axis=0))


def best_score(detections: ClassDetections, target: Target, min_correct: int = MIN_CORRECT) -> float | None:
    """Return the score threshold that meets a target with a margin and keeps enough correct detections; None if no score does.

    Of the scores that meet the target, it is the one that keeps most detections, for a precision or a number of false alarms; or the
    fewest, for a recall. It lies between the lowest score that is kept and the highest that is dropped, at the number with the fewest
    decimals near the middle.
    """
    order = np.argsort(-detections.scores, kind="stable")
    scores, correct = detections.scores[order], np.cumsum(detections.correct[order], dtype=np.int64)
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])  # equal scores are kept or dropped together
    if not len(last):
        return None
    kept, objects, images = last + 1, int(detections.objects.sum()), len(detections.objects)
    meets = _meets(target, correct[last], kept, objects, images) & (correct[last] >= min_correct)
    if not meets.any():
        return None
    chosen = int(meets.argmax()) if target.kind in {"recall", "f1"} else int(np.flatnonzero(meets)[-1])
    upper = float(scores[last[chosen]])
    lower = float(scores[last[chosen] + 1]) if last[chosen] + 1 < len(scores) else 0.0
    return between(lower, upper)


def _meets(target: Target, correct: Counts, kept: Counts, objects: int, images: int) -> Flags:
    """Return whether each of some thresholds meets a target, by the numbers of detections that it keeps."""
    if target.kind == "precision":
        met: Flags = lower_bound(correct, kept) >= target.value
    elif target.kind == "recall":
        met = lower_bound(correct, np.full_like(kept, objects)) >= target.value
    elif target.kind == "f1":
        f1 = 2 * correct / (kept + objects)
        met = f1 == f1.max()
    else:
        wrong = kept - correct
        met = (wrong + MARGIN**2 / 2 + MARGIN * np.sqrt(wrong + MARGIN**2 / 4)) / images <= target.value
    return met


def lower_bound(part: Counts, whole: Counts) -> Floats:
    """Return fractions less :data:`MARGIN` standard errors, as the lower bounds of Wilson (1927), which hold for few cases too."""
    fraction, z = part / np.maximum(whole, 1), MARGIN
    center = fraction + z * z / (2 * np.maximum(whole, 1))
    spread = z * np.sqrt(fraction * (1 - fraction) / np.maximum(whole, 1) + z * z / (4 * np.maximum(whole, 1) ** 2))
    bound: Floats = (center - spread) / (1 + z * z / np.maximum(whole, 1))
    return bound


def between(lower: float, upper: float) -> float:
    """Return a number in ``(lower, upper]``, near the middle and with few decimals, clear of both if they differ by more than rounding."""
    middle, clearance = (lower + upper) / 2, (upper - lower) / 10
    for decimals in range(2, 7):
        number = round(middle, decimals)
        if lower + max(clearance, 1e-6) <= number <= upper - max(clearance, 1e-6):
            return number
    return upper


@dataclass(frozen=True)
class PointCounts:
    """Numbers of detections at a threshold, in each image.

    Attributes:
        correct: ``(images,)`` correct detections.
        wrong: ``(images,)`` wrong detections.
        missed: ``(images,)`` objects that are not detected.
    """

    correct: Integers
    wrong: Integers
    missed: Integers

    @classmethod
    def at(cls, detections: ClassDetections, score: float) -> PointCounts:
        """Count at a threshold; scores are compared in float32, as a predictor does."""
        kept, images = detections.scores.astype(np.float32) >= np.float32(score), len(detections.objects)
        correct = np.bincount(detections.image[kept & detections.correct], minlength=images)
        wrong = np.bincount(detections.image[kept & ~detections.correct], minlength=images)
        return cls(correct, wrong, detections.objects - correct)

    @property
    def totals(self) -> Floats:
        """``(3,)`` numbers of correct, wrong and missed in all images."""
        return np.array([self.correct.sum(), self.wrong.sum(), self.missed.sum()], np.float64)


def operating_points(
    classes: Sequence[tuple[ClassDetections, float]], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[OperatingPoint, ...]:
    """Return the numbers of classes at given thresholds, with prediction intervals.

    An interval is where 95 % of the numbers lie that as many new images of the same kind would give. The bootstrap draws images, not
    detections, as those of an image resemble one another: a Bayesian bootstrap (Rubin, 1981) with Jeffreys' pseudo-counts for the
    uncertainty of these images, and a draw of new images from each resample.

    Args:
        classes: Detections and threshold of each class, all of the same images.
        resamples: Number of resamples.
        seed: Random seed.
    """
    counts = [PointCounts.at(detections, score) for detections, score in classes]
    drawn = _resampled(counts, resamples, seed) if counts else np.zeros((0, 3, 0))
    points = []
    for (detections, score), count, sample in zip(classes, counts, drawn, strict=True):
        images = len(detections.objects)
        precision, recall, f1, false_alarms = _numbers(count.totals, images).tolist()
        low, high = np.nanquantile(_numbers(sample, images), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1)
        intervals = {name: (float(low[i]), float(high[i])) for i, name in enumerate(INTERVALS)}
        evidence = Evidence(int(detections.objects.sum()), false_alarms, intervals)
        points.append(OperatingPoint(detections.name, score, precision, recall, f1, evidence))
    return tuple(points)


def _numbers(totals: Floats, images: int) -> Floats:
    """Return precision, recall, F1 and false alarms per image, ``(4, ...)``, of correct, wrong and missed ``(3, ...)``; NaN for 0 / 0."""
    correct, wrong, missed = totals
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * correct / (2 * correct + wrong + missed)
        return np.stack([correct / (correct + wrong), correct / (correct + missed), f1, wrong / images])


def _resampled(counts: Sequence[PointCounts], resamples: int, seed: int) -> Floats:
    """Return the correct, wrong and missed of new sets of images, ``(classes, 3, resamples)``."""
    table = np.stack([np.stack([one.correct, one.wrong, one.missed], 1) for one in counts], 1).astype(np.float32)  # (images, classes, 3)
    images = len(table)
    generator = np.random.default_rng(seed)
    totals = np.concatenate([drawn @ table.reshape(images, -1) for drawn in _draws(images, resamples, generator)])
    pseudo = generator.poisson(generator.gamma(PSEUDO_COUNT, size=totals.shape))
    return (totals + pseudo).reshape(resamples, len(counts), 3).transpose(1, 2, 0).astype(np.float64)


def _draws(images: int, resamples: int, generator: np.random.Generator) -> Iterator[npt.NDArray[np.float32]]:
    """Yield how often each image is in each new set, ``(some, images)``, in chunks of limited size."""
    for start in range(0, resamples, max(1, _CELLS // images)):
        weights = generator.exponential(size=(min(max(1, _CELLS // images), resamples - start), images))
        yield generator.multinomial(images, weights / weights.sum(1, keepdims=True)).astype(np.float32)
