"""Ridge regression of boxes from features, gathered image by image: memory does not grow with the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from detkit.config import Config

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
MOST_FEATURES = 13_000
"""Beyond so many the square of their number, in doubles, takes more than 1.4 gigabytes, all within which is solved; SPPNet has 12,800."""


class RidgeConfig(Config):
    """The numbers of the box regressors; the defaults are R-CNN's (appendix C, and ``rcnn_train_bbox_regressor.m``)."""

    penalty: float = Field(1000.0, gt=0)
    """Lambda, on the weights and on the bias."""
    min_iou: float = Field(0.6, ge=0, le=1)
    """Regions learn from the object of their class that they overlap most, if their IoU is greater."""
    target_norm: float = Field(20.0, gt=0)
    """Features are scaled so that their mean norm is this."""


def check_features(features: int) -> None:
    """Check that so many features of a region are few enough for a closed form.

    Raises:
        ValueError: they are not.
    """
    if features > MOST_FEATURES:
        raise ValueError(
            f"box regression: expected at most {MOST_FEATURES} features of a region, got {features}; "
            'set model.region.fitted.boxes_from="hidden", which has fewer'
        )


class Ridge:
    """Sums from which the regressor of one class follows in closed form.

    Args:
        features: How many each region has.
        outputs: How many numbers are regressed.

    Raises:
        ValueError: there are too many features for a closed form.
    """

    def __init__(self, features: int, outputs: int = 4) -> None:
        check_features(features)
        self.count, self._features = 0, features
        self._rows: list[Floats] = []
        self._wanted: list[Doubles] = []
        self._gram: Doubles | None = None  # its upper triangle
        self._products = np.zeros((features + 1, outputs))
        self._sums = np.zeros(outputs)

    def add(self, features: Floats, wanted: Floats) -> None:
        """Take in ``(N, D)`` scaled features and ``(N, outputs)`` numbers that they should give."""
        rows = np.concatenate([features, np.ones((len(features), 1))], 1).astype(np.float32)
        self.count += len(rows)
        self._sums += wanted.astype(np.float64).sum(0)
        self._rows.append(rows)
        self._wanted.append(wanted.astype(np.float64))
        # Rows half as many as features take a quarter of what the square of the features takes, and are quicker to solve.
        if self._gram is not None or self.count > self._features // 2:
            self._gather()

    def solve(self, penalty: float) -> tuple[Doubles, Doubles]:
        """Weights ``(outputs, D)`` and biases ``(outputs,)``; the numbers are centered before, as in the released code.

        The sums are solved where they lie, so that this can be done once.
        """
        means = self._sums / max(self.count, 1)
        gram, self._gram = self._gram, None
        found = (self._from_rows(means, penalty) if gram is None else self._from_sums(gram, means, penalty)).T
        return np.ascontiguousarray(found[:, :-1]), found[:, -1] + means

    def _gather(self) -> None:
        """Exchange the rows for their sums."""
        from scipy.linalg.blas import dsyrk

        if self._gram is None:
            self._gram = np.zeros((self._features + 1, self._features + 1), order="F")
        for rows, wanted in zip(self._rows, self._wanted, strict=True):
            doubles = rows.astype(np.float64)
            self._gram = dsyrk(1.0, doubles.T, 1.0, self._gram, overwrite_c=True)
            self._products += doubles.T @ wanted
        self._rows, self._wanted = [], []

    def _from_sums(self, gram: Doubles, means: Doubles, penalty: float) -> Doubles:
        from scipy.linalg.lapack import dposv

        centered = self._products - gram[:, -1:] * means
        gram[np.diag_indices_from(gram)] += penalty
        _, found, failed = dposv(gram, centered, overwrite_a=True)
        if failed:
            raise np.linalg.LinAlgError(f"box regression: the sums of {self.count} regions cannot be solved; are the features finite?")
        return np.asarray(found)

    def _from_rows(self, means: Doubles, penalty: float) -> Doubles:
        """The same by as many equations as there are rows: ``X' (X X' + penalty)^-1 y``."""
        from scipy.linalg import solve

        rows = np.concatenate([np.empty((0, self._features + 1)), *self._rows])  # doubles
        wanted = np.concatenate([np.empty((0, len(means))), *self._wanted]) - means
        if not len(rows):
            return np.zeros((self._features + 1, len(means)))
        system = rows @ rows.T
        system.flat[:: len(system) + 1] += penalty
        return np.asarray(rows.T @ solve(system, wanted, assume_a="pos", check_finite=False))
