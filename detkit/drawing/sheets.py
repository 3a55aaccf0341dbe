"""Several images on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from detkit.drawing.boxes import ClassNames, draw_detections, draw_targets
from detkit.drawing.canvas import Canvas, ImageArray, Style, as_image, readable_scale
from detkit.drawing.fonts import drawable
from detkit.structures import Detections, Targets

_PAPER = (255, 255, 255)


def side_by_side(
    image: ImageArray | Tensor, targets: Targets, detections: Detections, class_names: ClassNames, *, min_score: float = 0.3
) -> ImageArray:
    """The truth at the left and the predictions at the right, each under its caption.

    Labels of both must mean the same ``class_names``; detections below ``min_score`` are left out.
    """
    photo = as_image(image)
    scale = readable_scale((photo.shape[0], photo.shape[1]))
    shown = int((detections.scores >= min_score).sum())
    return contact_sheet(
        [
            draw_targets(photo, targets, class_names, scale=scale),
            draw_detections(photo, detections, class_names, min_score=min_score, scale=scale),
        ],
        captions=[f"truth: {len(targets)}", f"predictions: {shown}"],
        columns=2,
        max_side=max(photo.shape[:2]) * scale,
    )


def contact_sheet(
    images: Sequence[ImageArray | Tensor], *, captions: Sequence[str] = (), columns: int | None = None, max_side: int = 640
) -> ImageArray:
    """Images in rows on white, each shrunk to at most ``max_side`` and captioned.

    Raises:
        ValueError: there are no images, or not one caption a image.
    """
    if not images:
        raise ValueError("contact_sheet: expected at least one image, got none")
    if captions and len(captions) != len(images):
        raise ValueError(f"contact_sheet: expected one caption for each of {len(images)} images, got {len(captions)}")
    tiles = [_tile(as_image(p), captions[i] if captions else "", max_side) for i, p in enumerate(images)]
    columns = columns or int(np.ceil(len(tiles) ** 0.5))
    height, width, gap = max(t.height for t in tiles), max(t.width for t in tiles), 8
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), _PAPER)
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * (width + gap), i // columns * (height + gap)))
    return np.array(sheet)


def _tile(image: ImageArray, caption: str, max_side: int) -> Image.Image:
    prepared_image = Image.fromarray(image)
    prepared_image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    if not caption:
        return prepared_image
    strip = 2 * Style.for_size((prepared_image.height, prepared_image.width)).letter
    heading = Canvas(np.full((prepared_image.height + strip, prepared_image.width, 3), 255, np.uint8))
    heading.label((0.0, 0.0, 1.0, 0.0), drawable(caption, caption.encode("ascii", "replace").decode()), _PAPER)
    heading.image.paste(prepared_image, (0, strip))
    return heading.image
