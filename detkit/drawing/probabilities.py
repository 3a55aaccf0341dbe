"""Drawing of predicted masks before they are cut at a probability of 0.5."""

from __future__ import annotations

import numpy as np
from PIL import Image

from detkit.arrays import Floats, ImageArray
from detkit.drawing.boxes import ClassNames, class_name
from detkit.drawing.canvas import Canvas, readable_scale
from detkit.drawing.palette import color_of, heat_color
from detkit.structures.detection import DetectionArrays

_COLORS = np.array([heat_color(step / 255) for step in range(256)], np.uint8)
_OPACITY = 0.65


def draw_mask_probabilities(image: ImageArray, detections: DetectionArrays, class_names: ClassNames) -> ImageArray:
    """Draw in each box the probability that a pixel belongs to the object, from blue for 0 over green for 0.5 to red for 1.

    Where boxes overlap, the best detection is on top. The masks that are written are the pixels from 0.5 on, and they are outlined.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        detections: Detections with ``mask_probabilities``, best first.
        class_names: Class names by label.

    Returns:
        ``(scale * H, scale * W, 3)`` uint8 RGB; small images are enlarged.
    """
    pixels = np.array(image)
    grids = detections.mask_probabilities
    for box, grid in reversed(list(zip(detections.boxes, grids, strict=True)) if grids is not None else []):
        _blend(pixels, box, grid)
    canvas = Canvas(pixels, readable_scale((pixels.shape[0], pixels.shape[1])))
    rows = list(zip(detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist(), strict=True))
    for row in reversed(range(len(rows))):
        if detections.masks is not None:
            canvas.outline(detections.masks, row, (255, 255, 255))
        canvas.box(tuple(rows[row][0]), color_of(rows[row][2]), thin=True)
    for box, score, label in rows:
        canvas.label(tuple(box), f"{class_name(class_names, label)}  {score:.2f}", color_of(label))
    return canvas.array()


def _blend(pixels: ImageArray, box: Floats, grid: Floats) -> None:
    """Blend the colors of probabilities with the pixels of a box, in place."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    left, top, right, bottom = max(0, x1), max(0, y1), min(width, x2), min(height, y2)
    if right <= left or bottom <= top:
        return
    large = Image.fromarray((np.clip(grid, 0, 1) * 255).astype(np.uint8)).resize((x2 - x1, y2 - y1), Image.Resampling.BILINEAR)
    values = np.asarray(large)[top - y1 : bottom - y1, left - x1 : right - x1]
    part = pixels[top:bottom, left:right]
    part[:] = np.rint((1 - _OPACITY) * part + _OPACITY * _COLORS[values]).astype(np.uint8)
