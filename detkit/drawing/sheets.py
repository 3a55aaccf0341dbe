"""Contact sheets of several images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from detkit.arrays import ImageArray
from detkit.drawing.boxes import ClassNames, draw_detections, draw_targets
from detkit.drawing.canvas import Canvas, Style, as_image, readable_scale
from detkit.drawing.fonts import drawable
from detkit.structures import DetectionMethods

if TYPE_CHECKING:
    from torch import Tensor

    from detkit.structures import Targets

_BACKGROUND = (255, 255, 255)


def side_by_side(
    image: ImageArray | Tensor, targets: Targets, detections: DetectionMethods, class_names: ClassNames, *, min_score: float = 0.3
) -> ImageArray:
    """Draw the ground truth on the left and the detections on the right, each with a caption.

    Labels of both refer to ``class_names``. Detections with a score below ``min_score`` are not drawn.
    """
    pixels = as_image(image)
    scale = readable_scale((pixels.shape[0], pixels.shape[1]))
    shown = int((detections.scores >= min_score).sum())
    return contact_sheet(
        [
            draw_targets(pixels, targets, class_names, scale=scale),
            draw_detections(pixels, detections, class_names, min_score=min_score, scale=scale),
        ],
        captions=[f"truth: {len(targets)}", f"predictions: {shown}"],
        columns=2,
        max_side=max(pixels.shape[:2]) * scale,
    )


def contact_sheet(
    images: Sequence[ImageArray | Tensor], *, captions: Sequence[str] = (), columns: int | None = None, max_side: int = 640
) -> ImageArray:
    """Arrange images in rows on white, each shrunk to at most ``max_side`` pixels, with optional captions.

    Raises:
        ValueError: If there are no images, or the number of captions differs from the number of images.
    """
    if not images:
        raise ValueError("contact_sheet: expected at least one image, got none")
    if captions and len(captions) != len(images):
        raise ValueError(f"contact_sheet: expected one caption for each of {len(images)} images, got {len(captions)}")
    tiles = [_tile(as_image(image), captions[i] if captions else "", max_side) for i, image in enumerate(images)]
    columns = columns or int(np.ceil(len(tiles) ** 0.5))
    height, width, gap = max(t.height for t in tiles), max(t.width for t in tiles), 8
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), _BACKGROUND)
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * (width + gap), i // columns * (height + gap)))
    return np.array(sheet)


def _tile(image: ImageArray, caption: str, max_side: int) -> Image.Image:
    thumbnail = Image.fromarray(image)
    thumbnail.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    if not caption:
        return thumbnail
    caption_height = 2 * Style.for_size((thumbnail.height, thumbnail.width)).font_size
    canvas = Canvas(np.full((thumbnail.height + caption_height, thumbnail.width, 3), 255, np.uint8))
    canvas.label((0.0, 0.0, 1.0, 0.0), drawable(caption, caption.encode("ascii", "replace").decode()), _BACKGROUND)
    canvas.image.paste(thumbnail, (0, caption_height))
    return canvas.image
