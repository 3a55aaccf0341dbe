"""Linear SVMs with hard negatives, as R-CNN trains one a class: only negatives that matter are kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from detkit.config import Config

Floats = NDArray[np.float32]
ABSENT = -10.0
"""Margin of every region for a class without a single example."""


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
    max_negative: float = Field(0.3, ge=0, le=1)
    """Regions whose IoU with every object of the class is lower are its negatives (section 2.3; ``neg_ovr_thresh``)."""
    hard_margin: float = -1.0001
    """Negatives with a greater margin are hard (``hard_thresh``)."""
    easy_margin: float = -1.2
    """Negatives with a smaller margin are forgotten after a fit (``evict_thresh``)."""
    refit_after: int = Field(2000, ge=1)
    """New negatives of a class after which its SVM is fitted again (``retrain_limit``)."""
    passes: int = Field(1, ge=1)
    """Times that all pictures are searched for hard negatives (``max_hard_epochs``)."""
    exhaustive: bool = False
    """Whether passes go on until none finds a negative within the margin: the SVM is then that of all negatives."""
    tolerance: float = Field(1e-4, gt=0)
    """Of the solver."""
    memory_megabytes: float = Field(1000.0, gt=0)
    """What the examples of one class may take; the easiest negatives, and positives by lot, go beyond it."""


def fit_svm(positive: Floats, negative: Floats, config: SVMConfig) -> tuple[Floats, float]:
    """Weights ``(D,)`` and bias of the SVM (hinge loss, liblinear) that tells ``(P, D)`` from ``(N, D)`` scaled features."""
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
    solver.fit(np.concatenate([positive, negative]), np.repeat([1, 0], [len(positive), len(negative)]))
    return solver.coef_[0].astype(np.float32), float(solver.intercept_[0])


@dataclass(eq=False)
class HardNegatives:
    """The SVM of one class, and the examples that it is fitted to.

    Attributes:
        positive: ``(P, D)`` scaled features of the objects.
        config: The numbers.
        weights: ``(D,)`` of the SVM as it is now.
        bias: Of the same.
        fits: How often it was fitted.
        found: New negatives of the pass that is being made.
    """

    positive: Floats
    config: SVMConfig
    weights: Floats = field(init=False)
    bias: float = 0.0
    fits: int = 0
    found: int = 0

    def __post_init__(self) -> None:
        dimensions = self.positive.shape[1]
        self.most = max(2, int(self.config.memory_megabytes * 1e6 / (16 * dimensions)))  # liblinear copies to doubles
        if len(self.positive) > self.most // 2:
            chosen = np.random.default_rng(0).choice(len(self.positive), self.most // 2, replace=False)
            self.positive = self.positive[np.sort(chosen)]
        self.weights = np.zeros(dimensions, np.float32)
        self._negative = np.zeros((0, dimensions), np.float32)
        self._keys = np.zeros(0, np.int64)
        self._added = 0

    def look(self, features: Floats, keys: NDArray[np.int64], last: bool = False) -> None:
        """Take in the hard ones among ``(N, D)`` scaled features of negatives, each with a number of its own, and refit if it is time.

        Args:
            features: Of one picture.
            keys: ``(N,)`` by which a negative that is kept already is known.
            last: Whether nothing follows: then it is fitted in any case, and nothing is forgotten.
        """
        hard = features @ self.weights + self.bias > self.config.hard_margin
        hard[hard] = ~np.isin(keys[hard], self._keys)
        self._negative = np.concatenate([self._negative, features[hard]])
        self._keys = np.concatenate([self._keys, keys[hard]])
        self._added += int(hard.sum())
        self.found += int(hard.sum())
        if self._added > self.config.refit_after or (last and (self._added or not self.fits)):
            self._fit(last)

    def _fit(self, last: bool) -> None:
        self.weights, self.bias = fit_svm(self.positive, self._negative, self.config)
        self.fits, self._added = self.fits + 1, 0
        margins = self._negative @ self.weights + self.bias
        keep = np.ones(len(margins), np.bool_) if last else margins >= self.config.easy_margin
        room = self.most - len(self.positive)
        if keep.sum() > room:
            keep[np.argsort(-margins, kind="stable")[room:]] = False
        self._negative, self._keys = self._negative[keep], self._keys[keep]
