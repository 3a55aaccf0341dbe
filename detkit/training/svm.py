"""Linear SVMs with hard negatives, as R-CNN trains one a class: only negatives that matter are kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from detkit.config import Config

Floats = NDArray[np.float32]
Features = NDArray[np.floating[Any]]
ABSENT = -10.0
"""Margin of every region for a class without a single example."""
BYTES_KEPT = 2
"""Of a number of an example: half precision, as features come."""
BYTES_FITTED = 24
"""Of a number of an example while it is fitted to: a double, and in liblinear's list a pair of index and double."""


class SVMConfig(Config):
    """The numbers of one linear SVM; the defaults are those of R-CNN's released code (``rcnn_train.m``)."""

    cost: float = Field(1e-3, gt=0)
    """C: what a violated margin costs, against the norm of the weights."""
    positive_weight: float = Field(2.0, gt=0)
    """Times the cost for positives (``pos_loss_weight``)."""
    bias_multiplier: float = Field(10.0, gt=0)
    """The constant that stands beside the features, whose weight makes the bias (``bias_mult``)."""
    target_norm: float = Field(20.0, gt=0)
    """Features are scaled so that their mean norm is this (``target_norm``)."""
    negative_iou: float = Field(0.3, ge=0, le=1)
    """Regions whose IoU with every object of the class is lower are its negatives (section 2.3; ``neg_ovr_thresh``)."""
    hard_margin: float = -1.0001
    """Negatives with a greater margin are hard (``hard_thresh``)."""
    easy_margin: float = -1.2
    """Negatives with a smaller margin are forgotten after a fit (``evict_thresh``)."""
    refit_after: int = Field(2000, ge=1)
    """New negatives of a class after which its SVM is fitted again (``retrain_limit``)."""
    passes: int = Field(1, ge=1)
    """Times that all images are searched for hard negatives (``max_hard_epochs``)."""
    exhaustive: bool = False
    """Whether passes go on until none finds a negative within the margin: the SVM is then that of all negatives."""
    tolerance: float = Field(1e-4, gt=0)
    """Of the solver."""
    memory_megabytes: float = Field(1500.0, gt=0)
    """What the examples of all classes together and a fit to those of one may take, in units of 10^6 bytes; beyond it go the easiest
    negatives, and positives by lot."""

    def most_examples(self, dimensions: int, classes: int = 1) -> int:
        """How many examples each of so many classes may keep: all have their own, and one at a time is fitted to them."""
        return max(2, int(self.memory_megabytes * 1e6 / (dimensions * (BYTES_KEPT * classes + BYTES_FITTED))))


def fit_svm(positive: Features, negative: Features, config: SVMConfig, scale: float = 1.0) -> tuple[Floats, float]:
    """Weights ``(D,)`` and bias of the SVM (hinge loss, liblinear) that tells ``(P, D)`` from ``(N, D)`` features times ``scale``."""
    if not len(positive) or not len(negative):
        return np.zeros(positive.shape[1], np.float32), ABSENT if not len(positive) else -ABSENT
    from sklearn.svm import LinearSVC

    solver: Any = LinearSVC(
        loss="hinge",
        C=config.cost,
        intercept_scaling=config.bias_multiplier,
        class_weight={1: config.positive_weight, 0: 1.0},
        tol=config.tolerance,
        max_iter=20_000,
        random_state=0,
    )
    examples = np.empty((len(positive) + len(negative), positive.shape[1]))  # doubles, or liblinear would copy them once more
    np.multiply(positive, scale, out=examples[: len(positive)], dtype=np.float64)
    np.multiply(negative, scale, out=examples[len(positive) :], dtype=np.float64)
    solver.fit(examples, np.repeat([1, 0], [len(positive), len(negative)]))
    return solver.coef_[0].astype(np.float32), float(solver.intercept_[0])


class ExampleBuffer:
    """At most so many rows of a stream, each as likely as any other (reservoir sampling); all of them if they are no more.

    Args:
        most: How many are kept.
        dimensions: Of a row.
    """

    def __init__(self, most: int, dimensions: int) -> None:
        self._kept = np.empty((most, dimensions), np.float16)  # takes memory only as it is written to
        self._seen = 0
        self._random = np.random.default_rng(0)

    @property
    def rows(self) -> NDArray[np.float16]:
        """``(n, D)`` those kept."""
        return self._kept[: self._seen]

    def add(self, row: Features) -> None:
        """Take in the next one."""
        self._seen += 1
        place = self._seen - 1 if self._seen <= len(self._kept) else int(self._random.integers(self._seen))
        if place < len(self._kept):
            self._kept[place] = row


@dataclass(eq=False)
class HardNegatives:
    """The SVM of one class, and the examples that it is fitted to.

    Attributes:
        positive: ``(P, D)`` features of the objects.
        config: The numbers.
        scale: Times the features before they are seen.
        most: How many examples are kept, at least 2; as many as the memory allows for one class unless given.
        weights: ``(D,)`` of the SVM as it is now, on scaled features.
        bias: Of the same.
        fits: How often it was fitted.
        found: New negatives of the pass that is being made.
    """

    positive: Features
    config: SVMConfig
    scale: float = 1.0
    most: int | None = None
    weights: Floats = field(init=False)
    bias: float = 0.0
    fits: int = 0
    found: int = 0

    def __post_init__(self) -> None:
        dimensions = self.positive.shape[1]
        most = self.most or self.config.most_examples(dimensions)
        if len(self.positive) > most // 2:
            chosen = np.random.default_rng(0).choice(len(self.positive), most // 2, replace=False)
            self.positive = self.positive[np.sort(chosen)]
        self._refit_after = min(self.config.refit_after, max(1, most // 4))  # leaves room for those that a fit keeps
        self.weights = np.zeros(dimensions, np.float32)
        # Takes memory only as it is written to.
        self._rows = np.empty((most - len(self.positive), dimensions), self.positive.dtype)
        self._numbers = np.empty(len(self._rows), np.int64)
        self._count = self._added = 0

    @property
    def negative(self) -> Features:
        """``(N, D)`` features of the negatives that are kept."""
        return self._rows[: self._count]

    @property
    def keys(self) -> NDArray[np.int64]:
        """``(N,)`` the numbers by which they are known."""
        return self._numbers[: self._count]

    def margins(self, features: Features) -> Floats:
        """``(N,)`` of ``(N, D)`` features."""
        found: Floats = features.astype(np.float32) @ (self.weights * np.float32(self.scale)) + np.float32(self.bias)
        return found

    def look(self, features: Features, keys: NDArray[np.int64], margins: Floats | None = None) -> None:
        """Take in the hard ones among ``(N, D)`` features of negatives, and refit whenever it is time.

        Args:
            features: Of one image.
            keys: ``(N,)`` numbers by which a negative that is kept already is known.
            margins: ``(N,)`` if they are known.
        """
        margins = self.margins(features) if margins is None else margins
        hard = np.flatnonzero((margins > self.config.hard_margin) & ~np.isin(keys, self.keys))
        while len(hard):
            room = self._refit_after - self._added
            taken, hard = hard[:room], hard[room:]
            end = self._count + len(taken)
            self._rows[self._count : end], self._numbers[self._count : end] = features[taken], keys[taken]
            self._count, self._added, self.found = end, self._added + len(taken), self.found + len(taken)
            if self._added == self._refit_after:
                self._fit()
                hard = hard[self.margins(features[hard]) > self.config.hard_margin]

    def finish(self) -> None:
        """Fit to what came in since the last fit, and forget nothing: no more follows in this pass."""
        if self._added or not self.fits:
            self._fit(last=True)

    def _fit(self, last: bool = False) -> None:
        self.weights, self.bias = fit_svm(self.positive, self.negative, self.config, self.scale)
        self.fits, self._added = self.fits + 1, 0
        margins = self.margins(self.negative)
        keep = np.ones(len(margins), np.bool_) if last else margins >= self.config.easy_margin
        room = len(self._rows) - self._refit_after
        if keep.sum() > room:
            keep[np.argsort(-margins, kind="stable")[room:]] = False
        kept = np.flatnonzero(keep)
        self._rows[: len(kept)], self._numbers[: len(kept)] = self.negative[kept], self.keys[kept]
        self._count = len(kept)
