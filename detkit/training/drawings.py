"""The drawings of a run: its first training batches, and validation images with ground truth next to predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detkit.checkpoint import atomic_write
from detkit.data import ImageRecord
from detkit.data.record_image import read_record
from detkit.drawing import contact_sheet, draw_targets, side_by_side
from detkit.structures import Detections

if TYPE_CHECKING:
    from detkit.data.loader import SampleBatch

_MAX_IMAGES = 16
"""Images on one sheet."""


def draw_batch(path: Path, batch: SampleBatch, class_names: Sequence[str | None]) -> None:
    """Write one sheet with the augmented images of a batch and their targets."""
    samples = zip(batch.images[:_MAX_IMAGES], batch.targets[:_MAX_IMAGES], strict=True)
    drawn = [draw_targets(image, targets, class_names) for image, targets in samples]
    write_image(path, contact_sheet(drawn, captions=[Path(path).name for path in batch.paths[:_MAX_IMAGES]]))


def draw_validation(
    path: Path, record: ImageRecord, detections: Detections, class_names: Sequence[str | None], *, min_score: float
) -> None:
    """Write a validation image twice, side by side: with its ground truth, and with the detections from ``min_score`` on."""
    write_image(path, side_by_side(read_record(record), record.targets, detections, class_names, min_score=min_score))


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a JPEG file atomically."""
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        Image.fromarray(image).save(handle, format="JPEG", quality=90)
