"""Several pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from detkit.drawing.boxes import ClassNames, draw_detections, draw_targets
from detkit.drawing.fonts import drawable
from detkit.drawing.picture import Canvas, Picture, Style, as_picture, readable_scale
from detkit.structures import Detections, Targets

_PAPER = (255, 255, 255)


def side_by_side(
    image: Picture | Tensor, targets: Targets, detections: Detections, class_names: ClassNames, *, min_score: float = 0.3
) -> Picture:
    """The truth at the left and the predictions at the right, each under its caption.

    Labels of both must mean the same ``class_names``; detections below ``min_score`` are left out.
    """
    picture = as_picture(image)
    scale = readable_scale((picture.shape[0], picture.shape[1]))
    shown = int((detections.scores >= min_score).sum())
    return contact_sheet(
        [
            draw_targets(picture, targets, class_names, scale=scale),
            draw_detections(picture, detections, class_names, min_score=min_score, scale=scale),
        ],
        captions=[f"truth: {len(targets)}", f"predictions: {shown}"],
        columns=2,
        max_side=max(picture.shape[:2]) * scale,
    )


def contact_sheet(
    pictures: Sequence[Picture | Tensor], *, captions: Sequence[str] = (), columns: int | None = None, max_side: int = 640
) -> Picture:
    """Pictures in rows on white, each shrunk to at most ``max_side`` and captioned.

    Raises:
        ValueError: there are no pictures, or not one caption a picture.
    """
    if not pictures:
        raise ValueError("contact_sheet: expected at least one picture, got none")
    if captions and len(captions) != len(pictures):
        raise ValueError(f"contact_sheet: expected one caption for each of {len(pictures)} pictures, got {len(captions)}")
    tiles = [_tile(as_picture(p), captions[i] if captions else "", max_side) for i, p in enumerate(pictures)]
    columns = columns or int(np.ceil(len(tiles) ** 0.5))
    height, width, gap = max(t.height for t in tiles), max(t.width for t in tiles), 8
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), _PAPER)
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * (width + gap), i // columns * (height + gap)))
    return np.array(sheet)


def _tile(picture: Picture, caption: str, max_side: int) -> Image.Image:
    image = Image.fromarray(picture)
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    if not caption:
        return image
    strip = 2 * Style.for_size((image.height, image.width)).letter
    heading = Canvas(np.full((image.height + strip, image.width, 3), 255, np.uint8))
    heading.label((0.0, 0.0, 1.0, 0.0), drawable(caption, caption.encode("ascii", "replace").decode()), _PAPER)
    heading.picture.paste(image, (0, strip))
    return heading.picture
