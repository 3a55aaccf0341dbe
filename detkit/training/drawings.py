"""Drawings of training batches, and of validation images with ground truth next to predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from detkit.arrays import ImageArray
from detkit.checkpoint import atomic_write
from detkit.data import ImageRecord
from detkit.data.mask_pixels import mask_pixels
from detkit.data.record_image import read_record
from detkit.drawing import contact_sheet, draw_targets, readable_scale, side_by_side
from detkit.structures import Detections, Size, Targets

if TYPE_CHECKING:
    from detkit.data.loader import SampleBatch

_MAX_IMAGES = 16
"""Images on one sheet."""
_HATCHING = 18
"""Distance in pixels between the lines that mark padding."""


def draw_batch(path: Path, batch: SampleBatch, class_names: Sequence[str | None]) -> None:
    """Write one sheet with the augmented images of a batch and their targets."""
    samples = zip(batch.images[:_MAX_IMAGES], batch.targets[:_MAX_IMAGES], strict=True)
    drawn = [draw_targets(image, targets, class_names) for image, targets in samples]
    write_image(path, contact_sheet(drawn, captions=[Path(path).name for path in batch.paths[:_MAX_IMAGES]]))


def draw_inputs(
    images: Sequence[Tensor], sizes: Sequence[Size], targets: Sequence[Targets], class_names: Sequence[str | None]
) -> list[ImageArray]:
    """Draw the inputs of a model with their targets; padding is hatched.

    Args:
        images: ``(3, H, W)`` RGB in [0, 1], padded at the right and the bottom.
        sizes: ``(height, width)`` of each image without the padding.
        targets: The objects of each image.
        class_names: Class names by label.
    """
    drawn = []
    for image, size, rows in zip(images, sizes, targets, strict=True):
        pixels = as_pixels(image)
        drawn.append(draw_targets(_hatched(pixels, size), rows, class_names, scale=readable_scale(pixels.shape[:2])))
    return drawn


def as_pixels(image: Tensor) -> ImageArray:
    """Return a ``(3, H, W)`` RGB image in [0, 1] as ``(H, W, 3)`` uint8."""
    pixels: ImageArray = (image.detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return pixels


def draw_sheets(
    folder: Path, stem: str, images: Sequence[ImageArray], captions: Sequence[str], max_images: int = _MAX_IMAGES
) -> list[Path]:
    """Write images onto as many PNG sheets as they need, and return the files."""
    paths = []
    for start in range(0, len(images), max_images):
        end = start + max_images
        name = stem if len(images) <= max_images else f"{stem}_sheet_{start // max_images + 1}"
        paths.append(folder / f"{name}.png")
        write_image(paths[-1], contact_sheet(images[start:end], captions=captions[start:end]))
    return paths


def _hatched(image: ImageArray, size: Size) -> ImageArray:
    """Return a padded image with diagonal lines on the padding."""
    height, width = image.shape[:2]
    rows, columns = np.arange(height)[:, None], np.arange(width)
    lines = ((rows + columns) % _HATCHING < _HATCHING // 6) & ((rows >= size[0]) | (columns >= size[1]))
    hatched: ImageArray = np.where(lines[:, :, None], np.uint8(255), image)
    return hatched


def draw_validation(
    path: Path, record: ImageRecord, detections: Detections, class_names: Sequence[str | None], *, min_score: float
) -> None:
    """Write a validation image twice, side by side: with its ground truth, and with the detections from ``min_score`` on."""
    targets = record.targets
    if detections.masks is not None:
        targets = targets.replace(masks=mask_pixels(targets.segmentations, len(targets), record.size, str(record.path)))
    write_image(path, side_by_side(read_record(record), targets, detections, class_names, min_score=min_score))


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a PNG file, or else a JPEG file, atomically."""
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        if path.suffix == ".png":
            Image.fromarray(image).save(handle, format="PNG")
        else:
            Image.fromarray(image).save(handle, format="JPEG", quality=90)
