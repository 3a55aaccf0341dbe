"""Masks as JSON: COCO's run lengths, exactly, or polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # numpy takes longer to load than the help of a command to print
    from detkit.arrays import Size
    from detkit.structures.masks import Masks

MaskForm = Literal["rle", "polygons", "none"]
"""How masks are written: as run lengths under ``mask``, as polygons under ``polygons``, or not at all."""
MASK_FORMS: tuple[MaskForm, ...] = ("rle", "polygons", "none")


def masks_json(masks: Masks | None, count: int, size: Size, form: MaskForm = "rle") -> list[dict[str, Any]]:
    """Return the keys that each of ``count`` detections has for its mask.

    ``mask`` is ``{"size": [height, width], "counts": "..."}``, as in COCO's results. ``polygons`` is a list of ``[x, y, x, y, ...]`` in
    pixels, one for each connected part, empty for an empty mask; see :func:`detkit.data.writers.mask_polygons.mask_polygons`.

    Args:
        masks: The masks; None for detections without.
        count: Number of detections.
        size: ``(height, width)`` of the image.
        form: How they are written.

    Raises:
        ImportError: If polygons are asked for and OpenCV is not installed.
    """
    if masks is None or form == "none":
        return [{} for _ in range(count)]
    if form == "rle":
        return [{"mask": masks.runs(row, size)} for row in range(count)]
    from detkit.data.writers.mask_polygons import polygons_of_masks

    return [{"polygons": [_numbers(part) for part in parts]} for parts in polygons_of_masks(masks)]


def _numbers(points: Any) -> list[int | float]:
    return [int(value) if value == int(value) else round(value, 2) for value in points.reshape(-1).tolist()]
