"""Placement of an image in a model's input, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from detkit.arrays import Size, vector_like


class BoxRows(Protocol):
    """Rows with boxes, as tensors or as numpy arrays."""

    @property
    def boxes(self) -> Any:
        """``(N, 4)`` float32 ``x1 y1 x2 y2``."""

    def replace(self, **values: Any) -> Self:
        """Return a copy with new values for some fields."""


class ResizableRows(BoxRows, Protocol):
    """Rows that scale with their image, such as targets with their areas."""

    def resized(self, size: tuple[float, float], new_size: tuple[float, float]) -> Self:
        """Return the rows scaled as an image resized from ``size`` to ``new_size``."""


R = TypeVar("R", bound=ResizableRows)
B = TypeVar("B", bound=BoxRows)


@dataclass(frozen=True)
class Placement:
    """An image resized to ``content`` and placed at ``offset`` in an input of size ``canvas``; all ``(height, width)`` in pixels.

    Attributes:
        original: Original size of the image.
        content: Size of the image in the input.
        offset: ``(y, x)`` of the image's top left corner in the input; negative where the image is cropped.
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

    @property
    def scale(self) -> tuple[float, float]:
        """Factors ``(x, y)`` from lengths in pixels of the input to lengths in pixels of the image."""
        return self.original[1] / self._scaled[1], self.original[0] / self._scaled[0]

    @property
    def overlap(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Rows and columns of the input that the image covers, and those of the resized image that are in the input."""
        sides = tuple(zip(self.offset, self.content, self.canvas, strict=True))
        spans = [(max(0, start), min(whole, start + length)) for start, length, whole in sides]
        (y, x), ((top, bottom), (left, right)) = self.offset, spans
        return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))

    def apply(self, rows: R) -> R:
        """Convert rows from pixels of the image to pixels of the input."""
        y, x = self.offset
        moved = rows.resized(self.original, self._scaled)
        return moved.replace(boxes=moved.boxes + vector_like([x, y, x, y], moved.boxes)) if (y or x) else moved

    def unclipped(self, boxes: Any) -> Any:
        """Convert boxes from pixels of the input to pixels of the image; they may end outside of it."""
        y, x = self.offset
        if y or x:
            boxes = boxes - vector_like([x, y, x, y], boxes)
        factor_x, factor_y = self.scale
        return boxes * vector_like([factor_x, factor_y, factor_x, factor_y], boxes)

    def restore(self, detections: B) -> B:
        """Convert detections from pixels of the input to pixels of the image, clipped to it."""
        boxes, (height, width) = self.unclipped(detections.boxes), self.original
        return detections.replace(boxes=boxes.clip(vector_like([0, 0, 0, 0], boxes), vector_like([width, height, width, height], boxes)))
