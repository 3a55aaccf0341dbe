"""Drawings of training batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detkit.checkpoint import atomic_write
from detkit.drawing import contact_sheet, draw_targets

if TYPE_CHECKING:
    from detkit.data.loader import SampleBatch

_MAX_IMAGES = 16
"""Images on one sheet."""


def draw_batch(path: Path, batch: SampleBatch, class_names: Sequence[str | None]) -> None:
    """Write one sheet with the augmented images of a batch and their targets."""
    samples = zip(batch.images[:_MAX_IMAGES], batch.targets[:_MAX_IMAGES], strict=True)
    drawn = [draw_targets(image, targets, class_names) for image, targets in samples]
    write_image(path, contact_sheet(drawn, captions=[Path(path).name for path in batch.paths[:_MAX_IMAGES]]))


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a JPEG file atomically."""
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        Image.fromarray(image).save(handle, format="JPEG", quality=90)
