"""Counts of events by class."""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.arrays import Flags
from detkit.structures.detection import DetectionArrays


class Tally:
    """Numbers of events of a few kinds, in all and by class.

    Args:
        kinds: Names of the kinds.
    """

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self._kinds = kinds
        self._counts: dict[str, dict[str, int]] = {}

    def add(self, kind: str, detections: DetectionArrays, mask: Flags) -> None:
        """Count the detections of a mask as events of one kind."""
        for label in detections.labels[np.flatnonzero(mask)].tolist():
            name = detections.class_name(label) or f"class {label}"
            counts = self._counts.setdefault(name, dict.fromkeys(self._kinds, 0))
            counts[kind] += 1

    def total(self, kind: str) -> int:
        """Return the number of events of a kind."""
        return sum(counts[kind] for counts in self._counts.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the number of events of each kind, and under ``classes`` those of each class that has any."""
        classes = {name: dict(self._counts[name]) for name in sorted(self._counts)}
        return {**{kind: self.total(kind) for kind in self._kinds}, "classes": classes}
