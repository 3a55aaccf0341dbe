"""Training examples of box regressors, collected on disk by class: one pass over the images serves all classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detkit.arrays import Floats, Halves


class RegionRows:
    """Features and regression targets of regions, stored by class in the portions in which they were added.

    Args:
        folder: An empty folder, for two files per class.
        features: Number of features of a region.
        outputs: Number of regression targets of a region.
    """

    def __init__(self, folder: Path, features: int, outputs: int = 4) -> None:
        self._folder, self._features, self._outputs = folder, features, outputs
        self._portions: dict[int, list[int]] = {}

    def add(self, label: int, features: Halves, targets: Floats) -> None:
        """Append features ``(n, features)`` and targets ``(n, outputs)`` of regions of a class."""
        if len(features):
            self._portions.setdefault(label, []).append(len(features))
            for kind, rows in (
                ("features", np.ascontiguousarray(features, np.float16)),
                ("targets", np.ascontiguousarray(targets, np.float32)),
            ):
                with self._path(label, kind).open("ab") as handle:
                    handle.write(rows.data)

    def read(self, label: int) -> Iterator[tuple[Halves, Floats]]:
        """Yield the portions of a class as features and targets; nothing for a class without regions."""
        if label not in self._portions:
            return
        with self._path(label, "features").open("rb") as features, self._path(label, "targets").open("rb") as targets:
            for count in self._portions[label]:
                rows = np.fromfile(features, np.float16, count * self._features).reshape(count, self._features)
                yield rows, np.fromfile(targets, np.float32, count * self._outputs).reshape(count, self._outputs)

    def _path(self, label: int, kind: str) -> Path:
        return self._folder / f"{label}.{kind}"
