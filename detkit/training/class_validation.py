"""Validation of a classifier: how often it is right about images that it does not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detkit.evaluation.accuracy import NAMES, accuracy
from detkit.structures import Detections
from detkit.training.validation import Validation


class ClassValidation(Validation):
    """Scores a run's classifier on validation data, the images shared out to the processes."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers are called."""
        return NAMES

    def _numbers(self, shares: Sequence[Sequence[tuple[Any, Detections]]], step: int) -> dict[str, float]:
        found = {image_id: rows for share in shares for image_id, rows in share}
        ids = self.data.records.image_ids
        guesses = [found[image_id].labels.tolist() for image_id in ids]
        self._draw(found, step)
        return accuracy(self.data.records.labels.tolist(), guesses, len(self.data.class_names)).values
