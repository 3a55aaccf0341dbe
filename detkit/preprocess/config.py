"""Configuration of a model's input; it is stored in the checkpoint."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from detkit.arrays import Size
from detkit.config import Config
from detkit.preprocess.placement import Placement

MAX_AREA = 2**27
"""Largest input in pixels: 1.6 GB, so that a damaged or hostile file cannot ask for more."""

_MAX_CROPPED = 50
"""For ``center_crop``: maximum side of the resized image, in sides of the input; a longer one is squeezed, to limit memory."""


class PreprocessConfig(Config):
    """How images are resized for the model; the default is torchvision's detection transform.

    ``rule="short_side"`` keeps the aspect ratio and needs no padding; ``"fixed"`` stretches to ``input_size``; ``"letterbox"``
    keeps the aspect ratio inside ``input_size`` and pads the rest with ``pad_value``; ``"center_crop"`` keeps the aspect ratio, covers
    ``input_size`` and cuts off what sticks out, as classifiers do: what is cut off is not seen.
    """

    rule: Literal["short_side", "fixed", "letterbox", "center_crop"] = "short_side"
    """Rule for the size of the input."""
    short_side: int = Field(800, ge=1)
    """For the rule ``short_side``: length of the shorter side in pixels, unless the longer side would exceed ``long_side``."""
    long_side: int = Field(1333, ge=1)
    """For the rule ``short_side``: maximum length of the longer side in pixels."""
    input_size: tuple[int, int] | None = None
    """For the rules ``fixed``, ``letterbox`` and ``center_crop``: size of the input, ``(height, width)``."""
    rounding: Literal["floor", "nearest", "short_first"] = "floor"
    """Rounding of sides to whole pixels; ``short_first``: the short side to the nearest, then the long side from it, down (DETR)."""
    interpolation: Literal["bilinear", "bicubic", "nearest", "bilinear_bytes"] = "bilinear"
    """Interpolation of resized images; ``bilinear_bytes`` is OpenCV's, rounded to whole bytes and fast on a CPU."""
    antialias: bool = False
    """Whether to antialias when an image is reduced; torchvision's detectors were trained without."""
    enlarge: bool = True
    """Whether to enlarge images that are smaller than the configured size."""
    box_scaling: Literal["sides", "factor"] = "sides"
    """Scale factor of boxes: the ratios of the rounded sides, or the factor before rounding (YOLOX)."""
    pad_side: Literal["right_bottom", "both"] = "right_bottom"
    """For the rule ``letterbox``: sides to pad."""
    pad_value: int = Field(114, ge=0, le=255)
    """For the rule ``letterbox``: gray value of the padding, 0 to 255."""
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """Order of the model's three input channels."""
    max_value: Literal[1, 255] = 1
    """Input value of white."""

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        height, width = self.input_size or (self.short_side, self.long_side)
        if height * width > MAX_AREA:
            raise ValueError(f"the input has {width:,} x {height:,} pixels; expected at most {MAX_AREA:,}")
        if self.antialias and self.interpolation == "bilinear_bytes":
            raise ValueError("interpolation 'bilinear_bytes' does not antialias: set antialias=False, or interpolation='bilinear'")
        if self.rule == "short_side":
            if self.input_size is not None:
                raise ValueError(
                    "input_size is for the rules 'fixed', 'letterbox' and 'center_crop'; set rule too, or set short_side and long_side"
                )
        elif self.input_size is None or min(self.input_size) < 1:
            raise ValueError(f"rule {self.rule!r} needs input_size=(height, width), both at least 1; got {self.input_size}")
        return self

    def placement(self, size: Size) -> Placement:
        """Compute the placement of an image of ``size`` in the model's input."""
        if self.rule == "fixed" and self.input_size is not None:
            return Placement(size, self.input_size, (0, 0), self.input_size)
        content = self._scaled(size)
        if self.rule == "center_crop" and self.input_size is not None:
            return self._cropped(size, content, self.input_size)
        if self.input_size is None:
            return Placement(size, content, (0, 0), content, self._factor(size) if self.box_scaling == "factor" else None)
        padding = (self.input_size[0] - content[0], self.input_size[1] - content[1])
        offset = (padding[0] // 2, padding[1] // 2) if self.pad_side == "both" else (0, 0)
        return Placement(size, content, offset, self.input_size, self._factor(size) if self.box_scaling == "factor" else None)

    def _cropped(self, size: Size, content: Size, canvas: Size) -> Placement:
        """Place the center of the resized image in the input, rounded as by torchvision's ``CenterCrop``."""
        height, width = (min(side, _MAX_CROPPED * most) for side, most in zip(content, canvas, strict=True))
        offset = -round((height - canvas[0]) / 2), -round((width - canvas[1]) / 2)
        return Placement(size, (height, width), offset, canvas)

    def _factor(self, size: Size) -> float:
        if self.input_size is None:
            scale = min(self.short_side / min(size), self.long_side / max(size))
        else:
            scales = self.input_size[0] / size[0], self.input_size[1] / size[1]
            scale = max(scales) if self.rule == "center_crop" else min(scales)
        return scale if self.enlarge else min(scale, 1.0)

    def _scaled(self, size: Size) -> Size:
        """The resized size, at least one pixel per side (torchvision's rule fails on a 1 x 5000 image)."""
        scale = self._factor(size)
        short = round(min(size) * scale)
        if self.rounding == "short_first" and short:
            return (short, short * size[1] // size[0]) if size[0] <= size[1] else (short * size[0] // size[1], short)
        round_side = math.floor if self.rounding == "floor" else round
        return max(1, round_side(size[0] * scale)), max(1, round_side(size[1] * scale))
