"""The views of an image pyramid: which part of a image is shown to a detector at which size, and the way back."""

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

MOST_FACTOR, LEAST_PIXELS = 16, 32
"""A scale up to the first is a factor on the detector's own size, one from the second on is a short side in pixels."""
CUT_MARGIN = 0.01
"""A detection that ends within this part of a window's side from an edge, where the image goes on, is taken for cut."""

Range = tuple[float, float]


def factors_of(scales: Sequence[float], config: PreprocessConfig) -> tuple[float, ...]:
    """The scales as factors on the size that a detector's own config asks for.

    Raises:
        ValueError: there are none, one is neither a factor nor a number of pixels, or both kinds are mixed.
    """
    told = f"factors up to {MOST_FACTOR} on the detector's own size, or short sides of at least {LEAST_PIXELS} pixels"
    if not scales:
        raise ValueError(f"scales: expected {told}; got none")
    for scale in scales:
        if not (0 < scale <= MOST_FACTOR or LEAST_PIXELS <= scale < math.inf):
            raise ValueError(f"scales: expected {told}; got {scale:g}")
    if len({scale <= MOST_FACTOR for scale in scales}) > 1:
        raise ValueError(f"scales: expected {told}, and not both kinds; got {' '.join(f'{scale:g}' for scale in scales)}")
    return tuple(scale if scale <= MOST_FACTOR else scale / own_side(config) for scale in scales)


def own_side(config: PreprocessConfig) -> int:
    """The short side in pixels that a factor of 1 stands for."""
    return config.short_side if config.input_size is None else min(config.input_size)


def scaled(config: PreprocessConfig, factor: float, multiple: int) -> PreprocessConfig:
    """The config that makes inputs ``factor`` times as large; fixed sizes become multiples of ``multiple``."""
    if factor == 1:
        return config
    larger = config.replace(enlarge=config.enlarge or factor > 1)
    if config.input_size is None:
        return larger.replace(short_side=max(1, round(config.short_side * factor)), long_side=max(1, round(config.long_side * factor)))
    height, width = (max(1, round(side * factor / multiple)) * multiple for side in config.input_size)
    return larger.replace(input_size=(height, width))


@dataclass(frozen=True)
class Window:
    """A part of a image: its upper left corner and size in the image's pixels; it may reach beyond the image."""

    y: int
    x: int
    height: int
    width: int

    def cut(self, pixels: Tensor, fill: int) -> Tensor:
        """What ``(3, H, W)`` pixels show in it; ``fill`` (0 to 255) where it reaches beyond them."""
        part = pixels[:, self.y : self.y + self.height, self.x : self.x + self.width]
        right, below = self.width - part.shape[2], self.height - part.shape[1]
        if not (right or below):
            return part
        return functional.pad(part, (0, right, 0, below), value=fill / 255 if part.is_floating_point() else fill)


def windows(size: Size, factor: float, overlap: float) -> list[Window]:
    """Windows of the image's shape whose sides are the image's divided by ``factor``, and which cover it evenly.

    Neighbors share at least ``overlap`` of their sides. A factor below 1 gives one window, larger than the image.
    """
    height, width = (max(1, math.ceil(side / factor)) for side in size)
    count = 1 if factor <= 1 else math.ceil((factor - overlap) / (1 - overlap) - 1e-6)
    steps = [step / max(1, count - 1) for step in range(count)]
    down, along = (max(0, side - part) for side, part in zip(size, (height, width), strict=True))
    # A image of a few pixels may not have room for as many different ones.
    return list(dict.fromkeys(Window(round(y * down), round(x * along), height, width) for y in steps for x in steps))


@dataclass(frozen=True)
class View:
    """One window of a image, at one scale, mirrored or not.

    Attributes:
        window: The part of the image.
        config: How it is resized.
        sizes: The detections it is trusted with: square roots of areas in the image's pixels, from the first up to below the second.
        mirrored: Whether left and right are exchanged.
    """

    window: Window
    config: PreprocessConfig
    sizes: Range
    mirrored: bool

    def restore(self, found: Detections, size: Size) -> Detections:
        """Detections in the window, in the pixels of the image of ``size``; those that the view is not trusted with are left out."""
        window, boxes = self.window, found.boxes
        if self.mirrored:
            boxes = boxes[:, [2, 1, 0, 3]] * boxes.new_tensor([-1, 1, -1, 1]) + boxes.new_tensor([window.width, 0, window.width, 0])
        boxes = boxes + boxes.new_tensor([window.x, window.y, window.x, window.y])
        whole = ~self._cut(boxes, size)
        inside = clip_boxes(boxes, size)
        sides = box_area(inside).sqrt()
        trusted = whole & (sides > 0) & (sides >= self.sizes[0]) & (sides < self.sizes[1])
        return found.replace(boxes=inside)[trusted]

    def seen(self, proposals: Proposals) -> Proposals:
        """Proposals of the whole image, in the window, clipped to it; those outside are left out."""
        window, boxes = self.window, proposals.boxes
        inside = clip_boxes(boxes - boxes.new_tensor([window.x, window.y, window.x, window.y]), (window.height, window.width))
        if self.mirrored:
            inside = inside[:, [2, 1, 0, 3]] * boxes.new_tensor([-1, 1, -1, 1]) + boxes.new_tensor([window.width, 0, window.width, 0])
        return proposals.replace(boxes=inside)[box_area(inside) > 0]

    def _cut(self, boxes: Tensor, size: Size) -> Tensor:
        """``(n,)`` bool: ends at an edge of the window beyond which the image goes on, where another view sees more."""
        window, height, width = self.window, *size
        low = torch.tensor([window.x, window.y])
        high = low + torch.tensor([window.width, window.height])
        margin = (high - low) * CUT_MARGIN
        before = (boxes[:, :2] - low < margin) & (low > 0)
        behind = (high - boxes[:, 2:] < margin) & (high < torch.tensor([width, height]))
        return (before | behind).any(1)
