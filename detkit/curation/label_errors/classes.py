"""Classes of the data and of the detector as one list of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detkit.arrays import Doubles, Flags, Integers
from detkit.checkpoint.operating_points import OperatingPoints
from detkit.data import ClassMapping


@dataclass(frozen=True, eq=False)
class SharedClasses:
    """Labels ``0..K-1`` of the detector's classes, followed by one for each class of the data that the detector does not know.

    Attributes:
        data_names: The data's classes.
        names: The detector's classes.
        of_data: ``(D,)`` label of each class of the data.
    """

    data_names: tuple[str, ...]
    names: tuple[str | None, ...]
    of_data: Integers

    @classmethod
    def of(cls, data_names: Sequence[str], names: Sequence[str | None], renames: Mapping[str, str] | None = None) -> SharedClasses:
        """Match classes by name.

        Raises:
            ValueError: If a rename is wrong, or no class is on both sides.
        """
        mapping = ClassMapping.by_name(data_names, names, renames)
        if len(mapping.dropped) == len(data_names):
            raise ValueError(_nothing_common(data_names, names))
        labels = [len(names) + index if label is None else label for index, label in enumerate(mapping.indices)]
        return cls(tuple(data_names), tuple(names), np.array(labels, np.int64))

    @property
    def count(self) -> int:
        """Number of labels."""
        return len(self.names) + len(self.data_names)

    @property
    def known(self) -> Flags:
        """``(D,)`` whether the detector knows each class of the data."""
        flags: Flags = self.of_data < len(self.names)
        return flags

    @property
    def used(self) -> Flags:
        """``(K,)`` whether the data has each class of the detector."""
        flags: Flags = np.isin(np.arange(len(self.names)), self.of_data)
        return flags

    @property
    def unused(self) -> tuple[str, ...]:
        """The detector's classes that the data does not have."""
        return tuple(str(name) for name, used in zip(self.names, self.used.tolist(), strict=True) if not used and name is not None)

    def data_name(self, label: int) -> str:
        """Return the name in the data of a label; of several the first."""
        return self.data_names[int(np.flatnonzero(self.of_data == label)[0])]

    def thresholds(self, points: OperatingPoints | None) -> Doubles | None:
        """Return the operating point of each label, NaN for those without one of their own; None without operating points."""
        if points is None:
            return None
        scores = np.full(self.count, np.nan)
        for label, name in enumerate(self.names):
            if name is not None and name in points.classes:
                scores[label] = points.classes[name].score
        return scores


def _nothing_common(data_names: Sequence[str], names: Sequence[str | None]) -> str:
    theirs = [name for name in names if name is not None]
    both = [f"{len(row):,} ({', '.join(row[:8])}{', ...' if len(row) > 8 else ''})" for row in (list(data_names), theirs)]
    advice = f"rename classes ({data_names[0]}=NAME), or use a detector for these classes" if data_names else "label some objects first"
    return f"the data and the detector have no class in common: the data has {both[0]}, the detector {both[1]}; {advice}"
