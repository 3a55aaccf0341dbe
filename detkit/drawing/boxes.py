"""Drawing of detections and targets on an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from detkit.arrays import ImageArray, to_numpy
from detkit.drawing.canvas import Canvas
from detkit.drawing.fonts import drawable
from detkit.drawing.palette import GRAY, Color, color_of
from detkit.structures import DetectionMethods
from detkit.structures.masks import Masks

if TYPE_CHECKING:
    from torch import Tensor

    from detkit.structures import Targets

ClassNames = Sequence[str | None]

MOST_LABELS = 500
"""Most detections of an image that are drawn with labels."""
IGNORED_NAME = "to ignore"
"""Text at regions that are ignored for every class."""


def class_name(class_names: ClassNames, label: int) -> str:
    """Return the name of a class, or ``class 12`` if it has none or no available font can draw it."""
    name = class_names[label] if 0 <= label < len(class_names) else None
    return drawable(name, f"class {label}") if name else f"class {label}"


def draw_detections(
    image: ImageArray | Tensor, detections: DetectionMethods, class_names: ClassNames, *, min_score: float = 0.0, scale: int = 1
) -> ImageArray:
    """Draw boxes, class names, scores and masks on a copy of an image.

    The best detections are drawn on top, and their labels are placed first. Labels of more than ``MOST_LABELS`` would hide the image and
    are left out, and the boxes have thin lines.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, or a ``(3, H, W)`` tensor.
        detections: Detections in the image's own pixels, as tensors or arrays.
        class_names: Class names by label; ``None`` for a class without a name.
        min_score: Detections with a lower score are not drawn.
        scale: Factor by which the copy is enlarged; see :func:`detkit.drawing.readable_scale`.

    Returns:
        ``(scale * H, scale * W, 3)`` uint8 RGB.
    """
    shown = detections.numpy()
    shown = shown[shown.scores >= min_score]
    shown = shown[np.argsort(-shown.scores, kind="stable")]
    canvas = Canvas(image, scale)
    rows = list(zip(shown.boxes.tolist(), shown.scores.tolist(), shown.labels.tolist(), strict=True))
    crowded = len(rows) > MOST_LABELS
    draw_masks(canvas, shown.masks, [color_of(label) for _, _, label in rows])
    for box, _, label in reversed(rows):
        canvas.box(tuple(box), color_of(label), thin=crowded or shown.masks is not None)
    for box, score, label in () if crowded else rows:
        canvas.label(tuple(box), f"{class_name(class_names, label)}  {score:.2f}", color_of(label))
    return canvas.array()


def draw_masks(canvas: Canvas, masks: Masks | None, colors: Sequence[Color]) -> None:
    """Draw the masks of some objects, the first on top: first all fills, the largest at the bottom, then all outlines."""
    if masks is None:
        return
    sides = (masks.windows[:, 2:] - masks.windows[:, :2]).astype(np.int64)
    for row in np.argsort(-sides.prod(1), kind="stable").tolist():
        canvas.fill(masks, row, colors[row])
    for row in reversed(range(len(masks))):
        canvas.outline(masks, row, colors[row])


def draw_targets(image: ImageArray | Tensor, targets: Targets, class_names: ClassNames, *, scale: int = 1) -> ImageArray:
    """Draw ground-truth boxes on a copy of an image, and masks if they were computed.

    Crowds and difficult objects are dashed and marked in the label. Regions that are ignored for every class are dashed and gray.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, or a ``(3, H, W)`` tensor.
        targets: Ground truth in the image's own pixels.
        class_names: Class names by label.
        scale: Factor by which the copy is enlarged.

    Returns:
        ``(scale * H, scale * W, 3)`` uint8 RGB.
    """
    canvas, boxes, labels = Canvas(image, scale), targets.boxes.tolist(), targets.labels.tolist()
    order = np.argsort(-to_numpy(targets.areas), kind="stable").tolist()
    is_ignore = targets.is_ignore.tolist()
    rows = [
        (tuple(boxes[i]), IGNORED_NAME, GRAY, True)
        if is_ignore[i]
        else (tuple(boxes[i]), class_name(class_names, labels[i]) + _flags(targets, i), color_of(labels[i]), bool(_flags(targets, i)))
        for i in order
    ]
    draw_masks(canvas, None if targets.masks is None else targets.masks[np.array(order, np.int64)], [color for _, _, color, _ in rows])
    for box, _, color, dashed in rows:
        canvas.box(box, color, dashed=dashed)
    for box, text, color, _ in rows:
        canvas.label(box, text, color)
    return canvas.array()


def _flags(targets: Targets, row: int) -> str:
    if bool(targets.is_difficult[row]):
        return " (difficult)"
    return " (crowd)" if bool(targets.is_crowd[row]) else ""
