"""Linear SVMs with hard negative mining, one per class as in R-CNN: only negatives that matter are kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from detkit.arrays import Features, Floats
from detkit.config import Config

ABSENT_MARGIN = -10.0
"""Margin of every region for a class without a single example."""
BYTES_KEPT = 2
"""Bytes per feature of a stored example: half precision, as the features are computed."""
BYTES_FITTED = 24
"""Bytes per feature of an example during a fit: a double, and an index with a double in liblinear's list."""


class SVMConfig(Config):
    """One linear SVM per class; defaults of R-CNN's released code (``rcnn_train.m``)."""

    cost: float = Field(1e-3, gt=0)
    """C: cost of a violated margin relative to the norm of the weights."""
    positive_weight: float = Field(2.0, gt=0)
    """Factor of the cost for positives (``pos_loss_weight``)."""
    bias_multiplier: float = Field(10.0, gt=0)
    """Constant appended to the features; its weight gives the bias (``bias_mult``)."""
    target_norm: float = Field(20.0, gt=0)
    """Mean norm to which the features are scaled (``target_norm``)."""
    negative_iou: float = Field(0.3, ge=0, le=1)
    """Regions whose IoU with every object of the class is below this are negatives (section 2.3; ``neg_ovr_thresh``)."""
    hard_margin: float = -1.0001
    """Negatives with a margin above this are hard (``hard_thresh``)."""
    easy_margin: float = -1.2
    """Negatives with a margin below this are removed after a fit (``evict_thresh``)."""
    refit_after: int = Field(2000, ge=1)
    """New negatives of a class after which its SVM is refitted (``retrain_limit``)."""
    passes: int = Field(1, ge=1)
    """Passes over all images to search for hard negatives (``max_hard_epochs``)."""
    exhaustive: bool = False
    """Continue until a pass finds no negative within the margin; the SVM then equals one fitted to all negatives."""
    tolerance: float = Field(1e-4, gt=0)
    """Tolerance of the solver."""
    memory_megabytes: float = Field(1500.0, gt=0)
    """Memory for the examples of all classes together and one fit, in units of 10^6 bytes; above it the easiest negatives and randomly
    chosen positives are dropped."""

    def max_examples(self, dimensions: int, classes: int = 1) -> int:
        """Return how many examples each class may keep; all classes store their own, and one at a time is fitted."""
        return max(2, int(self.memory_megabytes * 1e6 / (dimensions * (BYTES_KEPT * classes + BYTES_FITTED))))


def fit_svm(positive: Features, negative: Features, config: SVMConfig, scale: float = 1.0) -> tuple[Floats, float]:
    """Fit a linear SVM (hinge loss, liblinear) that separates positives from negatives.

    Args:
        positive: Features ``(P, D)``.
        negative: Features ``(N, D)``.
        config: The SVM settings.
        scale: Factor applied to the features.

    Returns:
        Weights ``(D,)`` and bias.
    """
    if not len(positive) or not len(negative):
        return np.zeros(positive.shape[1], np.float32), ABSENT_MARGIN if not len(positive) else -ABSENT_MARGIN
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
    examples = np.empty((len(positive) + len(negative), positive.shape[1]))  # float64, or liblinear would make another copy
    np.multiply(positive, scale, out=examples[: len(positive)], dtype=np.float64)
    np.multiply(negative, scale, out=examples[len(positive) :], dtype=np.float64)
    solver.fit(examples, np.repeat([1, 0], [len(positive), len(negative)]))
    return solver.coef_[0].astype(np.float32), float(solver.intercept_[0])


class ExampleBuffer:
    """Reservoir sampling: a uniform random sample of the rows of a stream, or all of them if they fit.

    Args:
        size: Maximum number of rows.
        dimensions: Length of a row.
    """

    def __init__(self, size: int, dimensions: int) -> None:
        self._rows = np.empty((size, dimensions), np.float16)  # uses memory only where it is written
        self._seen = 0
        self._random = np.random.default_rng(0)

    @property
    def rows(self) -> NDArray[np.float16]:
        """The sampled rows ``(n, D)``."""
        return self._rows[: self._seen]

    def add(self, row: Features) -> None:
        """Add the next row of the stream."""
        self._seen += 1
        index = self._seen - 1 if self._seen <= len(self._rows) else int(self._random.integers(self._seen))
        if index < len(self._rows):
            self._rows[index] = row


@dataclass(eq=False)
class HardNegatives:
    """The SVM of one class with its positives and hard negatives.

    Attributes:
        positive: Features ``(P, D)`` of the objects.
        config: The SVM settings.
        scale: Factor applied to the features.
        limit: Maximum number of examples, at least 2; None for as many as the memory allows for one class.
        weights: Current weights ``(D,)``, for scaled features.
        bias: Current bias.
        fits: Number of fits so far.
        new_count: New negatives of the current pass.
    """

    positive: Features
    config: SVMConfig
    scale: float = 1.0
    limit: int | None = None
    weights: Floats = field(init=False)
    bias: float = 0.0
    fits: int = 0
    new_count: int = 0

    def __post_init__(self) -> None:
        dimensions = self.positive.shape[1]
        limit = self.limit or self.config.max_examples(dimensions)
        if len(self.positive) > limit // 2:
            selected = np.random.default_rng(0).choice(len(self.positive), limit // 2, replace=False)
            self.positive = self.positive[np.sort(selected)]
        self._refit_after = min(self.config.refit_after, max(1, limit // 4))  # leaves room for those that a fit keeps
        self.weights = np.zeros(dimensions, np.float32)
        # Uses memory only where it is written.
        self._rows = np.empty((limit - len(self.positive), dimensions), self.positive.dtype)
        self._keys = np.empty(len(self._rows), np.int64)
        self._count = self._added = 0

    @property
    def negative(self) -> Features:
        """Features ``(N, D)`` of the stored negatives."""
        return self._rows[: self._count]

    @property
    def keys(self) -> NDArray[np.int64]:
        """Keys ``(N,)`` that identify the stored negatives."""
        return self._keys[: self._count]

    def margins(self, features: Features) -> Floats:
        """Return the margins ``(N,)`` of features ``(N, D)``."""
        margins: Floats = features.astype(np.float32) @ (self.weights * np.float32(self.scale)) + np.float32(self.bias)
        return margins

    def add(self, features: Features, keys: NDArray[np.int64], margins: Floats | None = None) -> None:
        """Store the hard ones among the negatives of an image, and refit when enough are new.

        Args:
            features: Features ``(N, D)`` of negatives of one image.
            keys: Keys ``(N,)`` by which negatives that are already stored are recognized.
            margins: Margins ``(N,)``, if known.
        """
        margins = self.margins(features) if margins is None else margins
        hard = np.flatnonzero((margins > self.config.hard_margin) & ~np.isin(keys, self.keys))
        while len(hard):
            room = self._refit_after - self._added
            added, hard = hard[:room], hard[room:]
            end = self._count + len(added)
            self._rows[self._count : end], self._keys[self._count : end] = features[added], keys[added]
            self._count, self._added, self.new_count = end, self._added + len(added), self.new_count + len(added)
            if self._added == self._refit_after:
                self._fit()
                hard = hard[self.margins(features[hard]) > self.config.hard_margin]

    def finish(self) -> None:
        """End a pass: fit to the negatives added since the last fit, without removing any."""
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
        self._rows[: len(kept)], self._keys[: len(kept)] = self.negative[kept], self.keys[kept]
        self._count = len(kept)
