"""Images made of several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np

from detkit.data.augment.annotated_image import AnnotatedImage, Image
from detkit.data.augment.config import MixupConfig, MosaicConfig
from detkit.data.augment.geometry import Lens, blank, paste, patch
from detkit.structures import Proposals, Size, Targets

_LENS = Lens(average_below=0.5)


def mosaic(
    images: Sequence[AnnotatedImage], size: Size, config: MosaicConfig, min_visibility: float, random_numbers: np.random.Generator
) -> AnnotatedImage:
    """Four images that meet at a random point of a canvas, each with a corner there.

    What YOLOX's code makes on a canvas of twice the size and then scales and cuts is made here at once, on the canvas itself:
    each image is fitted to it, scaled, and cut by the canvas and by the lines through the point.
    """
    scale = random_numbers.uniform(*config.scale)
    spread = 0.5 * scale  # the point lies within half a image of the middle, as it does on the doubled canvas
    y, x = (round(side * (0.5 + random_numbers.uniform(-spread, spread))) for side in size)
    canvas, parts = blank(size, config.fill), []
    for number, tile in enumerate(images):
        down, right = divmod(number, 2)
        left, top = max(0, x) if right else 0, max(0, y) if down else 0
        bounds = (left, top, size[1] if right else min(x, size[1]), size[0] if down else min(y, size[0]))
        factor = min(size[0] / tile.size[0], size[1] / tile.size[1]) * scale
        corner = (y if down else y - tile.size[0] * factor, x if right else x - tile.size[1] * factor)
        seen = patch(tile.size, (factor, factor), corner, bounds)
        if seen is not None:
            paste(canvas, seen.pixels(tile.image, _LENS), seen.corner)
            parts.append(tile.mapped(canvas, partial(seen.rows, min_visibility=min_visibility)))
    return _joined(canvas, parts, images[0])


def mixup(
    image: AnnotatedImage, other: AnnotatedImage, config: MixupConfig, min_visibility: float, random_numbers: np.random.Generator
) -> AnnotatedImage:
    """Another image, fitted to this one and scaled, laid over it half transparent; a random place, or a random part of a larger one."""
    size = image.size
    factor = min(size[0] / other.size[0], size[1] / other.size[1]) * random_numbers.uniform(*config.scale)
    corner = [random_numbers.random() * (side - length * factor) for side, length in zip(size, other.size, strict=True)]
    layer = blank(size, 114)
    seen = patch(other.size, (factor, factor), (corner[0], corner[1]), (0, 0, size[1], size[0]))
    parts = [image]
    if seen is not None:
        paste(layer, seen.pixels(other.image, _LENS), seen.corner)
        parts.append(other.mapped(layer, partial(seen.rows, min_visibility=min_visibility)))
    return _joined(np.asarray(cv2.addWeighted(image.image, config.share, layer, 1 - config.share, 0.0), np.uint8), parts, image)


def _joined(image: Image, parts: Sequence[AnnotatedImage], like: AnnotatedImage) -> AnnotatedImage:
    """One image of several; it is labeled if all that are seen in it are."""
    given = [part.proposals for part in parts if part.proposals is not None]
    proposals = None if like.proposals is None else Proposals.cat(given)
    return AnnotatedImage(image, Targets.cat([part.targets for part in parts]), proposals, all(part.is_labeled for part in parts))
