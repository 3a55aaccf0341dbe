"""Views of an image pyramid: windows and scales at which a detector sees an image, and mapping of boxes to and from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from detkit.ops.boxes import box_area, clip_boxes
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


@dataclass(frozen=True)
class Window:
    """A window of an image: upper left corner and size in pixels; it may extend beyond the image."""

    y: int
    x: int
    height: int
    width: int

    def crop(self, pixels: Tensor, fill: int) -> Tensor:
        """Crop pixels ``(3, H, W)``, padded with ``fill`` (0 to 255) outside the image."""
        part = pixels[:, self.y : self.y + self.height, self.x : self.x + self.width]
        right, bottom = self.width - part.shape[2], self.height - part.shape[1]
        if not (right or bottom):
            return part
        return functional.pad(part, (0, right, 0, bottom), value=fill / 255 if part.is_floating_point() else fill)


def windows(size: Size, factor: float, overlap: float) -> list[Window]:
    """Return windows that cover the image evenly, with the sides of the image divided by ``factor``.

    Neighbors overlap by at least the fraction ``overlap`` of their sides. A factor below 1 gives one window, larger than the image.
    """
    height, width = (max(1, math.ceil(side / factor)) for side in size)
    count = 1 if factor <= 1 else math.ceil((factor - overlap) / (1 - overlap) - 1e-6)
    steps = [step / max(1, count - 1) for step in range(count)]
    y_range, x_range = (max(0, side - part) for side, part in zip(size, (height, width), strict=True))
    # Windows of an image of a few pixels can coincide.
    return list(dict.fromkeys(Window(round(y * y_range), round(x * x_range), height, width) for y in steps for x in steps))


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
        if self.flipped:
            boxes = boxes[:, [2, 1, 0, 3]] * boxes.new_tensor([-1, 1, -1, 1]) + boxes.new_tensor([window.width, 0, window.width, 0])
        boxes = boxes + boxes.new_tensor([window.x, window.y, window.x, window.y])
        complete = ~self._is_cut(boxes, size)
        inside = clip_boxes(boxes, size)
        sides = box_area(inside).sqrt()
        kept = complete & (sides > 0) & (sides >= self.sizes[0]) & (sides < self.sizes[1])
        return detections.replace(boxes=inside)[kept]

    def project(self, proposals: Proposals) -> Proposals:
        """Map proposals of the image to the window and clip them; those outside are removed."""
        window, boxes = self.window, proposals.boxes
        inside = clip_boxes(boxes - boxes.new_tensor([window.x, window.y, window.x, window.y]), (window.height, window.width))
        if self.flipped:
            inside = inside[:, [2, 1, 0, 3]] * boxes.new_tensor([-1, 1, -1, 1]) + boxes.new_tensor([window.width, 0, window.width, 0])
        return proposals.replace(boxes=inside)[box_area(inside) > 0]

    def _is_cut(self, boxes: Tensor, size: Size) -> Tensor:
        """Return ``(n,)`` bool: whether a box ends at an edge of the window that is not an edge of the image."""
        window, height, width = self.window, *size
        low = torch.tensor([window.x, window.y])
        high = low + torch.tensor([window.width, window.height])
        margin = (high - low) * CUT_MARGIN
        at_start = (boxes[:, :2] - low < margin) & (low > 0)
        at_end = (high - boxes[:, 2:] < margin) & (high < torch.tensor([width, height]))
        return (at_start | at_end).any(1)
