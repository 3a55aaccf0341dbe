"""The example data set: a small labeled data set that is generated offline."""

from __future__ import annotations

from pathlib import Path

from detkit.data import DataConfig, make_sample
from detkit.data.writers import WRITERS

KINDS = tuple(WRITERS)
"""Label formats that an example data set can be written in."""


def make_example(
    folder: str | Path,
    images: int = 120,
    kind: str = "coco",
    seed: int = 0,
    *,
    val_images: int | None = None,
    short_side: int = 192,
    large: bool = False,
    masks: bool = False,
) -> DataConfig:
    """Write labeled images of cats, coins, cups, rockets and wheels, generated from scikit-image's photographs.

    A folder that already contains the same data set is left unchanged.

    Args:
        folder: A new folder.
        images: Number of training images.
        kind: Format of the labels.
        seed: The same seed gives the same images.
        val_images: Number of validation images; None: a third of ``images``.
        short_side: Short side of the images in pixels; of large ones, of the objects' surroundings.
        large: Make images of 6 x 8 times the size, with 40 objects half as large, which are for tiles.
        masks: Label the pixels of each object too, for segmentation; for formats that have outlines.

    Returns:
        The config that reads the data set.

    Raises:
        ValueError: If the folder contains something else, or if there would be fewer than one image.
    """
    return make_sample(folder, images, kind, seed=seed, short_side=short_side, val_images=val_images, large=large, masks=masks)
