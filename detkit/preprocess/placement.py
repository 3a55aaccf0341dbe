"""Where a image lies in a model's input, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from detkit.structures import Detections, Rows, Size

R = TypeVar("R", bound=Rows)


@dataclass(frozen=True)
class Placement:
    """A image resized to ``content`` and laid at ``offset`` in an input of ``canvas``; all ``(height, width)`` in pixels.

    Attributes:
        original: The image's own size.
        content: The image's size in the input.
        offset: ``(y, x)`` of the image's corner in the input.
        canvas: The input's size.
        factor: What boxes are multiplied by; None: the ratios of the sides of ``content`` and ``original``.
    """

    original: Size
    content: Size
    offset: Size
    canvas: Size
    factor: float | None = None

    @property
    def _scaled(self) -> tuple[float, float]:
        """The size that boxes take the image for to have in the input."""
        return self.content if self.factor is None else (self.original[0] * self.factor, self.original[1] * self.factor)

    def place(self, rows: R) -> R:
        """Rows about the image, in the input's pixels."""
        y, x = self.offset
        moved = rows.resized(self.original, self._scaled)
        return moved.replace(boxes=moved.boxes + moved.boxes.new_tensor([x, y, x, y])) if (y or x) else moved

    def restore(self, detections: Detections) -> Detections:
        """Detections in the input, in the image's own pixels and clipped to it."""
        y, x = self.offset
        boxes = detections.boxes
        inside = detections.replace(boxes=boxes - boxes.new_tensor([x, y, x, y])) if (y or x) else detections
        back = inside.resized(self._scaled, self.original).boxes
        height, width = self.original
        low = back.new_zeros(4)
        return detections.replace(boxes=back.maximum(low).minimum(back.new_tensor([width, height, width, height])))
