"""Ridge regression of boxes from features, accumulated image by image: memory does not grow with the data."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from detkit.arrays import Doubles, Floats
from detkit.config import Config

MAX_FEATURES = 13_000
"""Above this number, the square matrix of the features in float64 takes more than 1.4 GB, in which the system is also solved. SPPNet has
12,800 features."""


class RidgeConfig(Config):
    """Ridge regression of boxes; defaults of R-CNN (appendix C, and ``rcnn_train_bbox_regressor.m``)."""

    penalty: float = Field(1000.0, gt=0)
    """Regularization strength (lambda) of the weights and of the bias."""
    min_iou: float = Field(0.6, ge=0, le=1)
    """A region is used with the object of a class that it overlaps most if their IoU is above this."""
    target_norm: float = Field(20.0, gt=0)
    """Mean norm to which the features are scaled."""


def check_features(features: int) -> None:
    """Check that the features of a region are few enough for a closed-form solution.

    Raises:
        ValueError: If they are not.
    """
    if features > MAX_FEATURES:
        raise ValueError(
            f"box regression: expected at most {MAX_FEATURES} features of a region, got {features}; "
            'set model.region.fitted.boxes_from="hidden", which has fewer'
        )


class Ridge:
    """Sums from which the regressor of one class is computed in closed form.

    Args:
        features: Number of features of a region.
        outputs: Number of regressed values.

    Raises:
        ValueError: If there are too many features for a closed-form solution.
    """

    def __init__(self, features: int, outputs: int = 4) -> None:
        check_features(features)
        self.count, self._features = 0, features
        self._rows: list[Floats] = []
        self._targets: list[Doubles] = []
        self._gram: Doubles | None = None  # its upper triangle
        self._products = np.zeros((features + 1, outputs))
        self._sums = np.zeros(outputs)

    def add(self, features: Floats, targets: Floats) -> None:
        """Add scaled features ``(N, D)`` and targets ``(N, outputs)``."""
        rows = np.concatenate([features, np.ones((len(features), 1))], 1).astype(np.float32)
        self.count += len(rows)
        self._sums += targets.astype(np.float64).sum(0)
        self._rows.append(rows)
        self._targets.append(targets.astype(np.float64))
        # Rows numbering half the features take a quarter of the memory of the square matrix of the features, and are faster to solve.
        if self._gram is not None or self.count > self._features // 2:
            self._accumulate()

    def solve(self, penalty: float) -> tuple[Doubles, Doubles]:
        """Return weights ``(outputs, D)`` and biases ``(outputs,)``; the targets are centered first, as in the released code.

        The sums are solved in place, so this can be called only once.
        """
        means = self._sums / max(self.count, 1)
        gram, self._gram = self._gram, None
        solution = (self._from_rows(means, penalty) if gram is None else self._from_sums(gram, means, penalty)).T
        return np.ascontiguousarray(solution[:, :-1]), solution[:, -1] + means

    def _accumulate(self) -> None:
        """Replace the rows by their sums."""
        from scipy.linalg.blas import dsyrk

        if self._gram is None:
            self._gram = np.zeros((self._features + 1, self._features + 1), order="F")
        for rows, targets in zip(self._rows, self._targets, strict=True):
            doubles = rows.astype(np.float64)
            self._gram = dsyrk(1.0, doubles.T, 1.0, self._gram, overwrite_c=True)
            self._products += doubles.T @ targets
        self._rows, self._targets = [], []

    def _from_sums(self, gram: Doubles, means: Doubles, penalty: float) -> Doubles:
        from scipy.linalg.lapack import dposv

        centered = self._products - gram[:, -1:] * means
        gram[np.diag_indices_from(gram)] += penalty
        _, solution, failed = dposv(gram, centered, overwrite_a=True)
        if failed:
            raise np.linalg.LinAlgError(f"box regression: the sums of {self.count} regions cannot be solved; are the features finite?")
        return np.asarray(solution)

    def _from_rows(self, means: Doubles, penalty: float) -> Doubles:
        """Solve the equivalent system with one equation per row: ``X' (X X' + penalty)^-1 y``."""
        from scipy.linalg import solve

        rows = np.concatenate([np.empty((0, self._features + 1)), *self._rows])  # float64
        targets = np.concatenate([np.empty((0, len(means))), *self._targets]) - means
        if not len(rows):
            return np.zeros((self._features + 1, len(means)))
        system = rows @ rows.T
        system.flat[:: len(system) + 1] += penalty
        return np.asarray(rows.T @ solve(system, targets, assume_a="pos", check_finite=False))
