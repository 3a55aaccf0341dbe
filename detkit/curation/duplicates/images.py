"""The images of a data set, each once, however many parts list it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Integers
from detkit.curation.parts import LabeledParts
from detkit.ops.windows import Window

Source = tuple[str, Window | None]
"""An image file, and the part of it that is the image; None for all of it."""


@dataclass(frozen=True, eq=False)
class DistinctImages:
    """The distinct images of all parts.

    Attributes:
        sources: Each image once, in the order of the parts.
        of_part: For each part, the index in ``sources`` of each of its images.
    """

    sources: tuple[Source, ...]
    of_part: dict[str, Integers]

    @classmethod
    def of(cls, parts: LabeledParts) -> DistinctImages:
        """Collect the images of a data set."""
        index: dict[Source, int] = {}
        of_part = {}
        for name, part in parts:
            records = part.data.records
            windows = [None] * len(part) if records.windows is None else [Window(*row) for row in records.windows.tolist()]
            sources = zip(records.paths, windows, strict=True)
            of_part[name] = np.array([index.setdefault(source, len(index)) for source in sources], np.int64)
        return cls(tuple(index), of_part)

    def __len__(self) -> int:
        return len(self.sources)
