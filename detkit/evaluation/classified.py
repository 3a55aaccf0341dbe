"""Analysis of a classifier's predictions: intervals, each class, confusions, calibration, and the mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from detkit.arrays import Doubles, Flags, Integers
from detkit.evaluation.accuracy import Accuracy, accuracy
from detkit.evaluation.analysis.calibration import Calibration
from detkit.evaluation.analysis.intervals import RESAMPLES, Interval, corrected_interval

_Z = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class ClassRow:
    """Accuracy on the images of one class.

    Attributes:
        name: Name of the class.
        images: Number of its images.
        top1: Fraction of them that are classified correctly (recall); NaN without images.
        interval: 95 % interval of ``top1`` (Wilson, 1927).
        predicted: Number of images that are classified as this class.
        precision: Fraction of those that are of this class; NaN if there are none.
        f1: Harmonic mean of precision and recall; NaN if both are unknown.
    """

    name: str
    images: int
    top1: float
    interval: Interval
    predicted: int
    precision: float
    f1: float


@dataclass(frozen=True)
class Mistake:
    """An image whose most likely class is wrong.

    Attributes:
        image: Its index.
        true_class: Label of its true class.
        predicted_class: Label of its most likely class.
        score: Probability of the most likely class.
        true_score: Probability of the true class; NaN if the classifier did not report it.
        rank: Rank of the true class, from 1; None if it is not among the reported classes.
    """

    image: int
    true_class: int
    predicted_class: int
    score: float
    true_score: float
    rank: int | None


@dataclass(frozen=True, eq=False)
class ClassifiedImages:
    """The predictions of a classifier on labeled images.

    Attributes:
        class_names: Names of the K classes.
        labels: ``(N,)`` true class of each image.
        predictions: Predicted classes of each image, most likely first.
        scores: Their probabilities, in the same order.
    """

    class_names: tuple[str, ...]
    labels: Integers
    predictions: Sequence[Integers]
    scores: Sequence[Doubles]

    @cached_property
    def accuracy(self) -> Accuracy:
        """The accuracy over all images."""
        return accuracy(self.labels.tolist(), [row.tolist() for row in self.predictions], len(self.class_names))

    @cached_property
    def first(self) -> Integers:
        """``(N,)`` most likely class of each image; -1 where none is reported."""
        return np.array([row[0] if len(row) else -1 for row in self.predictions], np.int64)

    @cached_property
    def first_scores(self) -> Doubles:
        """``(N,)`` probability of the most likely class; 0 where none is reported."""
        return np.array([row[0] if len(row) else 0.0 for row in self.scores], np.float64)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """95 % intervals of the accuracies: Wilson's of top-1 and top-5, and a bootstrap over the images of the mean over classes."""
        images, whole = len(self.labels), self.accuracy
        return {
            "top1": wilson_interval(round(whole.top1 * images), images),
            "top5": wilson_interval(round(whole.top5 * images), images),
            "balanced": self._balanced_interval(),
        }

    @cached_property
    def classes(self) -> tuple[ClassRow, ...]:
        """The accuracy on each class."""
        confusion = self.accuracy.confusion
        columns = zip(
            self.class_names, self.accuracy.counts.tolist(), confusion.sum(0).tolist(), confusion.diagonal().tolist(), strict=True
        )
        return tuple(_class_row(*row) for row in columns)

    @cached_property
    def calibration(self) -> Calibration:
        """Whether the probability of the most likely class is the fraction of images for which it is right (Guo et al., ICML 2017)."""
        return Calibration.of("all", self.first_scores, self._correct)

    @cached_property
    def mistakes(self) -> tuple[Mistake, ...]:
        """All images with a wrong most likely class, the most confident first."""
        wrong = np.flatnonzero(~self._correct & (self.first >= 0))
        return tuple(self._mistake(int(index)) for index in wrong[np.argsort(-self.first_scores[wrong], kind="stable")])

    @cached_property
    def confusions(self) -> tuple[tuple[int, int, Integers], ...]:
        """Pairs of true and predicted class that occur, each with the indices of its images, the least certain first."""
        keys = self.labels * len(self.class_names) + self.first
        order = np.lexsort((self.first_scores, keys))
        order = order[self.first[order] >= 0]
        values, starts = np.unique(keys[order], return_index=True)
        parts = np.split(order, starts[1:])
        return tuple((*divmod(int(key), len(self.class_names)), part) for key, part in zip(values, parts, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, as the JSON file of an evaluation and the report have them."""
        return {
            "intervals": {name: asdict(interval) for name, interval in self.intervals.items()},
            "classes": [asdict(row) for row in self.classes],
            "confusions": [
                {"true": self.class_names[true], "predicted": self.class_names[predicted], "count": len(images)}
                for true, predicted, images in self.confusions
            ],
            "calibration": asdict(self.calibration),
            "mistake_count": len(self.mistakes),
            "mistakes": [
                {**asdict(row), "true_class": self.class_names[row.true_class], "predicted_class": self.class_names[row.predicted_class]}
                for row in self.mistakes
            ],
        }

    @property
    def _correct(self) -> Flags:
        return np.asarray(self.first == self.labels)

    def _mistake(self, index: int) -> Mistake:
        label = int(self.labels[index])
        (ranks,) = np.nonzero(self.predictions[index] == label)
        rank, score = (int(ranks[0]) + 1, float(self.scores[index][ranks[0]])) if len(ranks) else (None, float("nan"))
        return Mistake(index, label, int(self.first[index]), float(self.first_scores[index]), score, rank)

    def _balanced_interval(self) -> Interval:
        """Resample the images: only how many of each class are right and wrong matters, which is one draw of a multinomial distribution."""
        counts, right = self.accuracy.counts, self.accuracy.confusion.diagonal()
        shares = np.concatenate([right, counts - right]) / counts.sum()
        draws = np.random.default_rng(0).multinomial(int(counts.sum()), shares, RESAMPLES)
        drawn_right, drawn_wrong = draws[:, : len(counts)], draws[:, len(counts) :]
        drawn = drawn_right + drawn_wrong
        by_class = np.where(drawn > 0, drawn_right / np.maximum(drawn, 1), np.nan)
        return corrected_interval(self.accuracy.balanced, np.nanmean(by_class, axis=1))


def wilson_interval(successes: int, trials: int) -> Interval:
    """Return the 95 % interval of a proportion (Wilson, JASA 1927), which also holds for few trials; NaN without trials."""
    if not trials:
        return Interval(float("nan"), float("nan"))
    share, square = successes / trials, _Z**2
    center = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z / (1 + square / trials) * np.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return Interval(float(max(center - half, 0.0)), float(min(center + half, 1.0)))


def _class_row(name: str, images: int, predicted: int, right: int) -> ClassRow:
    nan = float("nan")
    recall, precision = right / images if images else nan, right / predicted if predicted else nan
    f1 = 2 * right / (images + predicted) if images + predicted else nan
    return ClassRow(name, images, recall, wilson_interval(right, images), predicted, precision, f1)
