"""A view of an image: the window and the scale at which a detector sees it, and mapping of boxes to and from it; numpy only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from detkit.arrays import ImageArray, Size, is_tensor
from detkit.inference.views.masks import clipped
from detkit.ops.windows import Window, areas, boxes_in_window, clip_to, is_cut, shift_boxes
from detkit.preprocess.config import PreprocessConfig
from detkit.structures.detection import DetectionArrays

if TYPE_CHECKING:
    from detkit.structures import Proposals

CUT_MARGIN = 0.01
"""Margin, as a fraction of a window's side, within which a detection at an inner edge of the window is considered cut off."""

Range = tuple[float, float]


def crop(pixels: Any, window: Window, fill: int) -> Any:
    """Crop an image, padded with ``fill`` (0 to 255) where the window extends beyond it.

    Args:
        pixels: ``(H, W, 3)`` uint8, a ``(3, H, W)`` tensor, or the regions of an image.
        window: The window.
        fill: Gray value of the padding.
    """
    if is_tensor(pixels):
        tensor = pixels[:, window.y1 : window.y2, window.x1 : window.x2]
        if tuple(tensor.shape[1:]) == window.size:
            return tensor
        canvas = tensor.new_full((3, *window.size), fill / 255 if tensor.is_floating_point() else fill)
        canvas[:, : tensor.shape[1], : tensor.shape[2]] = tensor
        return canvas
    part: ImageArray = pixels[window.y1 : window.y2, window.x1 : window.x2] if isinstance(pixels, np.ndarray) else pixels.read(window)
    return padded(part, window.size, fill)


def padded(pixels: ImageArray, size: Size, fill: int) -> ImageArray:
    """Pad ``(H, W, 3)`` at the right and the bottom with ``fill`` to ``size``."""
    if pixels.shape[:2] == size:
        return pixels
    canvas = np.full((*size, 3), fill, np.uint8)
    canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
    return canvas


def mirrored(pixels: Any) -> Any:
    """Return ``(H, W, 3)`` uint8 or a ``(3, H, W)`` tensor, flipped horizontally."""
    return pixels.flip(-1) if is_tensor(pixels) else pixels[:, ::-1].copy()


class Restored(NamedTuple):
    """Detections of a view in pixels of the image: those of complete objects, and those that end at an inner edge of its window."""

    complete: DetectionArrays
    cut: DetectionArrays


@dataclass(frozen=True)
class View:
    """One window of an image, at one scale, optionally flipped.

    Attributes:
        window: The window.
        config: How the window is resized.
        sizes: Detections kept from this view: range of the square root of the area in original pixels, the upper end excluded.
        flipped: Whether the window is flipped horizontally.
        is_tile: Whether the window is an image of its own, for which a proposer is asked for proposals.
        reduction: Side of the blocks of pixels that are averaged before the window is resized, as those of huge images are.
    """

    window: Window
    config: PreprocessConfig
    sizes: Range
    flipped: bool
    is_tile: bool = field(default=False, compare=False)
    reduction: int = 1

    @property
    def size(self) -> Size:
        """``(height, width)`` of the window after averaging blocks."""
        height, width = self.window.size
        return -(-height // self.reduction), -(-width // self.reduction)

    def restore(self, detections: DetectionArrays, size: Size) -> Restored:
        """Map detections to the pixels of an image of ``size``; those outside ``sizes`` are removed."""
        window, masks = self.window, detections.mask_probabilities
        boxes = shift_boxes(self._flip(detections.boxes) * self.reduction, window.x1, window.y1)
        cut = is_cut(boxes, window, size, CUT_MARGIN)
        inside = clip_to(boxes, size)
        sides = np.sqrt(areas(inside))
        kept = (sides > 0) & (sides >= self.sizes[0]) & (sides < self.sizes[1])
        mirrored_masks = {"mask_probabilities": masks[..., ::-1]} if masks is not None and self.flipped else {}
        rows = clipped(detections.replace(**mirrored_masks), boxes, inside)
        return Restored(rows[kept & ~cut], rows[kept & cut])

    def project(self, proposals: Proposals, size: Size) -> Proposals:
        """Map proposals of an image of ``size`` to the window and clip them; those outside are removed."""
        if self.window == (0, 0, size[1], size[0]) and not self.flipped:
            return proposals
        inside = self._flip(boxes_in_window(proposals.boxes, self.window).boxes)  # views of proposals are not reduced
        return proposals.replace(boxes=inside)[areas(inside) > 0]

    def _flip(self, boxes: Any) -> Any:
        """Mirror boxes in the window, if it is flipped."""
        if not self.flipped:
            return boxes
        x1, y1, x2, y2 = (boxes[:, column : column + 1] for column in range(4))
        width = self.size[1]
        return _joined(boxes, width - x2, y1, width - x1, y2)


def _joined(boxes: Any, *columns: Any) -> Any:
    result = boxes.clone() if is_tensor(boxes) else boxes.copy()
    for index, column in enumerate(columns):
        result[:, index : index + 1] = column
    return result
