"""Validation of an image classifier: its accuracy on images that it is not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detkit.evaluation.accuracy import NAMES, accuracy
from detkit.structures import Detections
from detkit.training.validation import Validation


class ClassValidation(Validation):
    """Evaluate the classifier of a run on validation data; the images are divided among the processes."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return NAMES

    def _metrics(self, by_process: Sequence[Sequence[tuple[Any, Detections]]], step: int) -> dict[str, float]:
        detections = {image_id: rows for pairs in by_process for image_id, rows in pairs}
        ids = self.data.records.image_ids
        predictions = [detections[image_id].labels.tolist() for image_id in ids]
        self._draw(detections, step)
        return accuracy(self.data.records.labels.tolist(), predictions, len(self.data.class_names)).values
