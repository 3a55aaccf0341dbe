"""Views of an image pyramid: windows and scales at which a detector sees an image, and mapping of boxes to and from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from detkit.ops.boxes import box_area, clip_boxes
from detkit.ops.windows import Window, boxes_in_window, is_cut, shift_boxes
from detkit.preprocess import PreprocessConfig
from detkit.structures import Detections, Proposals, Size

MAX_FACTOR, MIN_PIXELS = 16, 32
"""Scales up to ``MAX_FACTOR`` are factors on the detector's own size, scales from ``MIN_PIXELS`` on are short sides in pixels."""
CUT_MARGIN = 0.01
"""Margin, as a fraction of a window's side, within which a detection at an inner edge of the window is considered cut off."""

Range = tuple[float, float]


def scale_factors(scales: Sequence[float], config: PreprocessConfig) -> tuple[float, ...]:
    """Convert scales to factors on the input size in the detector's config.

    Raises:
        ValueError: If there are no scales, a scale is neither a factor nor a number of pixels, or both kinds are mixed.
    """
    expected = f"factors up to {MAX_FACTOR} on the detector's own size, or short sides of at least {MIN_PIXELS} pixels"
    if not scales:
        raise ValueError(f"scales: expected {expected}; got none")
    for scale in scales:
        if not (0 < scale <= MAX_FACTOR or MIN_PIXELS <= scale < math.inf):
            raise ValueError(f"scales: expected {expected}; got {scale:g}")
    if len({scale <= MAX_FACTOR for scale in scales}) > 1:
        raise ValueError(f"scales: expected {expected}, but not both; got {' '.join(f'{scale:g}' for scale in scales)}")
    return tuple(scale if scale <= MAX_FACTOR else scale / base_side(config) for scale in scales)


def base_side(config: PreprocessConfig) -> int:
    """Return the short side in pixels at a factor of 1."""
    return config.short_side if config.input_size is None else min(config.input_size)


def scaled_config(config: PreprocessConfig, factor: float, multiple: int) -> PreprocessConfig:
    """Return a config whose inputs are ``factor`` times as large; fixed sizes are rounded to multiples of ``multiple``."""
    if factor == 1:
        return config
    larger = config.replace(enlarge=config.enlarge or factor > 1)
    if config.input_size is None:
        return larger.replace(short_side=max(1, round(config.short_side * factor)), long_side=max(1, round(config.long_side * factor)))
    height, width = (max(1, round(side * factor / multiple)) * multiple for side in config.input_size)
    return larger.replace(input_size=(height, width))


def crop(pixels: Tensor, window: Window, fill: int) -> Tensor:
    """Crop pixels ``(3, H, W)``, padded with ``fill`` (0 to 255) where the window extends beyond the image."""
    part = pixels[:, window.y1 : window.y2, window.x1 : window.x2]
    right, bottom = window.size[1] - part.shape[2], window.size[0] - part.shape[1]
    if not (right or bottom):
        return part
    return functional.pad(part, (0, right, 0, bottom), value=fill / 255 if part.is_floating_point() else fill)


@dataclass(frozen=True)
class View:
    """One window of an image, at one scale, optionally flipped.

    Attributes:
        window: The window.
        config: How the window is resized.
        sizes: Detections kept from this view: range of the square root of the area in original pixels, the upper end excluded.
        flipped: Whether the window is flipped horizontally.
    """

    window: Window
    config: PreprocessConfig
    sizes: Range
    flipped: bool

    def restore(self, detections: Detections, size: Size) -> Detections:
        """Map detections to the pixels of an image of ``size``; cut-off ones and those outside ``sizes`` are removed."""
        window, boxes = self.window, detections.boxes
        boxes = shift_boxes(self._flip(boxes), window.x1, window.y1)
        complete = ~is_cut(boxes, window, size, CUT_MARGIN)
        inside = clip_boxes(boxes, size)
        sides = box_area(inside).sqrt()
        kept = complete & (sides > 0) & (sides >= self.sizes[0]) & (sides < self.sizes[1])
        return detections.replace(boxes=inside)[kept]

    def project(self, proposals: Proposals) -> Proposals:
        """Map proposals of the image to the window and clip them; those outside are removed."""
        inside = self._flip(boxes_in_window(proposals.boxes, self.window).boxes)
        return proposals.replace(boxes=inside)[box_area(inside) > 0]

    def _flip(self, boxes: Tensor) -> Tensor:
        """Mirror boxes in the window, if it is flipped."""
        if not self.flipped:
            return boxes
        width = self.window.size[1]
        return boxes[:, [2, 1, 0, 3]] * boxes.new_tensor([-1, 1, -1, 1]) + boxes.new_tensor([width, 0, width, 0])
