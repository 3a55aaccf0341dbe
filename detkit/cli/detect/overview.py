"""Reduced copies of huge images, for drawings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detkit.structures import DetectionMethods

LONGEST_SIDE = 4096
"""Longest side in pixels of the drawing of an image that is read in parts."""


def overview(image: Any, detections: DetectionMethods) -> tuple[Any, DetectionMethods]:
    """Return an image and its detections to draw on it; those of an image that is read in parts are reduced, which a line says."""
    from detkit.data.media.image_regions import ImageRegions
    from detkit.data.media.regions import reduced
    from detkit.ops.windows import Window

    if not isinstance(image, ImageRegions):
        return image, detections
    height, width = image.size
    factor = -(-max(height, width) // LONGEST_SIDE)
    rows = detections.numpy()
    masks = None if rows.masks is None else rows.masks.resized(1 / factor, 1 / factor)
    print(f"the drawing is reduced to 1/{factor} of {width} x {height} pixels; the detections in files are not")
    return reduced(image, Window(0, 0, width, height), factor), rows.replace(boxes=rows.boxes / factor, masks=masks)
