"""Placement of an image in a model's input, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from detkit.structures import Detections, Rows, Size

R = TypeVar("R", bound=Rows)


@dataclass(frozen=True)
class Placement:
    """An image resized to ``content`` and placed at ``offset`` in an input of size ``canvas``; all ``(height, width)`` in pixels.

    Attributes:
        original: Original size of the image.
        content: Size of the image in the input.
        offset: ``(y, x)`` of the image's top left corner in the input.
        canvas: Size of the input.
        factor: Scale factor of boxes; None: the ratios of the sides of ``content`` and ``original``.
    """

    original: Size
    content: Size
    offset: Size
    canvas: Size
    factor: float | None = None

    @property
    def _scaled(self) -> tuple[float, float]:
        """Size of the image in the input that corresponds to the scaling of boxes."""
        return self.content if self.factor is None else (self.original[0] * self.factor, self.original[1] * self.factor)

    def apply(self, rows: R) -> R:
        """Convert rows from pixels of the image to pixels of the input."""
        y, x = self.offset
        moved = rows.resized(self.original, self._scaled)
        return moved.replace(boxes=moved.boxes + moved.boxes.new_tensor([x, y, x, y])) if (y or x) else moved

    def restore(self, detections: Detections) -> Detections:
        """Convert detections from pixels of the input to pixels of the image, clipped to it."""
        y, x = self.offset
        boxes = detections.boxes
        shifted = detections.replace(boxes=boxes - boxes.new_tensor([x, y, x, y])) if (y or x) else detections
        restored = shifted.resized(self._scaled, self.original).boxes
        height, width = self.original
        low = restored.new_zeros(4)
        return detections.replace(boxes=restored.maximum(low).minimum(restored.new_tensor([width, height, width, height])))
