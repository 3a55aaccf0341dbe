"""Mosaic and mixup: images combined from several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np

from detkit.arrays import ImageArray
from detkit.data.augment.annotated_image import AnnotatedImage
from detkit.data.augment.geometry import Resampler, filled_canvas, paste, visible_patch
from detkit.data.augment.transforms import MixupConfig, MosaicConfig
from detkit.ops.windows import Window
from detkit.structures import Proposals, Size, Targets

_RESAMPLER = Resampler(average_below=0.5)


def mosaic(
    images: Sequence[AnnotatedImage], size: Size, config: MosaicConfig, min_visibility: float, random_numbers: np.random.Generator
) -> AnnotatedImage:
    """Combine four images that meet with one corner each at a random point of a canvas.

    YOLOX's code fills a canvas of twice the size, then scales and crops it. Here the canvas is filled directly: each image
    is fitted to it, scaled, and cropped by the canvas and by the lines through the point.
    """
    scale = random_numbers.uniform(*config.scale)
    spread = config.max_shift * scale  # by default the point is within half an image of the center, as on the doubled canvas
    y, x = (round(side * (0.5 + random_numbers.uniform(-spread, spread))) for side in size)
    canvas, parts = filled_canvas(size, config.fill), []
    for number, tile in enumerate(images):
        down, right = divmod(number, 2)
        left, top = max(0, x) if right else 0, max(0, y) if down else 0
        bounds = Window(left, top, size[1] if right else min(x, size[1]), size[0] if down else min(y, size[0]))
        factor = min(size[0] / tile.size[0], size[1] / tile.size[1]) * scale
        corner = (y if down else y - tile.size[0] * factor, x if right else x - tile.size[1] * factor)
        patch = visible_patch(tile.size, (factor, factor), corner, bounds)
        if patch is not None:
            paste(canvas, patch.pixels(tile.image, _RESAMPLER), patch.corner)
            parts.append(tile.mapped(canvas, partial(patch.rows, min_visibility=min_visibility)))
    return _combine(canvas, parts, images[0])


def mixup(
    image: AnnotatedImage, other: AnnotatedImage, config: MixupConfig, min_visibility: float, random_numbers: np.random.Generator
) -> AnnotatedImage:
    """Blend a second image, fitted to the first and scaled, over it, at a random position or as a random crop if it is larger."""
    size = image.size
    factor = min(size[0] / other.size[0], size[1] / other.size[1]) * random_numbers.uniform(*config.scale)
    corner = [random_numbers.random() * (side - length * factor) for side, length in zip(size, other.size, strict=True)]
    layer = filled_canvas(size, 114)
    patch = visible_patch(other.size, (factor, factor), (corner[0], corner[1]), Window(0, 0, size[1], size[0]))
    parts = [image]
    if patch is not None:
        paste(layer, patch.pixels(other.image, _RESAMPLER), patch.corner)
        parts.append(other.mapped(layer, partial(patch.rows, min_visibility=min_visibility)))
    share = _draw_share(config, random_numbers)
    return _combine(np.asarray(cv2.addWeighted(image.image, share, layer, 1 - share, 0.0), np.uint8), parts, image)


def blend(image: AnnotatedImage, other: AnnotatedImage, config: MixupConfig, random_numbers: np.random.Generator) -> AnnotatedImage:
    """Blend two augmented images, the second stretched to the size of the first, and keep the objects of both (DEIM, arXiv:2412.04234)."""
    share, size = _draw_share(config, random_numbers), image.size
    layer = other.mapped(_RESAMPLER.resize(other.image, size), lambda rows: rows.resized(other.size, size))
    pixels = np.asarray(cv2.addWeighted(image.image, share, layer.image, 1 - share, 0.0), np.uint8)
    return _combine(pixels, [image, layer], image)


def _draw_share(config: MixupConfig, random_numbers: np.random.Generator) -> float:
    """Return the weight of the first image."""
    spread = config.share_spread
    return config.share + random_numbers.uniform(-spread, spread) if spread else config.share


def _combine(image: ImageArray, parts: Sequence[AnnotatedImage], first: AnnotatedImage) -> AnnotatedImage:
    """Return one image with the rows of all parts; it is labeled if all visible parts are."""
    part_proposals = [part.proposals for part in parts if part.proposals is not None]
    proposals = None if first.proposals is None else Proposals.cat(part_proposals)
    return AnnotatedImage(image, Targets.cat([part.targets for part in parts]), proposals, all(part.is_labeled for part in parts))
