"""What box regressors are fitted to, gathered class by class on disk: one look at the images serves all classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Halves = NDArray[np.float16]
Floats = NDArray[np.float32]


class RegionRows:
    """Features of regions and the numbers that they should give, in the portions in which they came.

    Args:
        folder: An empty one, for two files a class.
        features: How many numbers a region has.
        outputs: How many it should give.
    """

    def __init__(self, folder: Path, features: int, outputs: int = 4) -> None:
        self._folder, self._features, self._outputs = folder, features, outputs
        self._portions: dict[int, list[int]] = {}

    def add(self, label: int, features: Halves, wanted: Floats) -> None:
        """Keep ``(n, features)`` numbers of regions of a class, with the ``(n, outputs)`` that they should give."""
        if len(features):
            self._portions.setdefault(label, []).append(len(features))
            for kind, rows in (
                ("features", np.ascontiguousarray(features, np.float16)),
                ("wanted", np.ascontiguousarray(wanted, np.float32)),
            ):
                with self._path(label, kind).open("ab") as handle:
                    handle.write(rows.data)

    def of(self, label: int) -> Iterator[tuple[Halves, Floats]]:
        """The rows of a class; none came for one without regions."""
        if label not in self._portions:
            return
        with self._path(label, "features").open("rb") as features, self._path(label, "wanted").open("rb") as wanted:
            for count in self._portions[label]:
                numbers = np.fromfile(features, np.float16, count * self._features).reshape(count, self._features)
                yield numbers, np.fromfile(wanted, np.float32, count * self._outputs).reshape(count, self._outputs)

    def _path(self, label: int, kind: str) -> Path:
        return self._folder / f"{label}.{kind}"
