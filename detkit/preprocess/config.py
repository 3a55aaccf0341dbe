"""The one description of a model's input; it travels in the checkpoint."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from detkit.config import Config
from detkit.preprocess.placement import Placement
from detkit.structures import Size


class PreprocessConfig(Config):
    """How images are resized before a model sees them; the default is torchvision's detection transform.

    ``rule="short_side"`` keeps the shape and needs no padding; ``"fixed"`` stretches to ``input_size``; ``"letterbox"``
    keeps the shape inside ``input_size`` and fills the rest with ``pad_value``.
    """

    rule: Literal["short_side", "fixed", "letterbox"] = "short_side"
    """What decides the new size."""
    short_side: int = Field(800, ge=1)
    """For the rule ``short_side``: pixels of the shorter side, unless ``long_side`` forbids."""
    long_side: int = Field(1333, ge=1)
    """For the rule ``short_side``: the most pixels of the longer side."""
    input_size: tuple[int, int] | None = None
    """For the rules ``fixed`` and ``letterbox``: ``(height, width)``."""
    rounding: Literal["floor", "nearest", "short_first"] = "floor"
    """How a computed side becomes whole pixels; ``short_first``: the short side to the nearest, and from it the long side down (DETR)."""
    interpolation: Literal["bilinear", "bicubic", "nearest", "bilinear_bytes"] = "bilinear"
    """How new pixels are made; ``bilinear_bytes``: by OpenCV, and rounded to whole bytes, which is quick on a CPU."""
    antialias: bool = False
    """Whether old pixels are averaged when a image shrinks; torchvision's detectors were trained without."""
    enlarge: bool = True
    """Whether a image smaller than asked for is enlarged."""
    box_scaling: Literal["sides", "factor"] = "sides"
    """How boxes follow: by the ratios of the sides in whole pixels, or by the factor before those were rounded (YOLOX)."""
    pad_side: Literal["right_bottom", "both"] = "right_bottom"
    """For the rule ``letterbox``: where the filling goes."""
    pad_value: int = Field(114, ge=0, le=255)
    """For the rule ``letterbox``: the gray of the filling, 0 to 255."""
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """The order of the model's three input channels."""
    max_value: Literal[1, 255] = 1
    """The model's input value for white."""

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.antialias and self.interpolation == "bilinear_bytes":
            raise ValueError("interpolation 'bilinear_bytes' averages no pixels: set antialias=False, or interpolation='bilinear'")
        if self.rule == "short_side":
            if self.input_size is not None:
                raise ValueError("input_size is for the rules 'fixed' and 'letterbox'; set rule too, or set short_side and long_side")
        elif self.input_size is None or min(self.input_size) < 1:
            raise ValueError(f"the rule {self.rule!r} needs input_size=(height, width), both at least 1; got {self.input_size}")
        return self

    def placement(self, size: Size) -> Placement:
        """Where a image of ``size`` comes to lie in the model's input, without touching a pixel."""
        if self.rule == "fixed" and self.input_size is not None:
            return Placement(size, self.input_size, (0, 0), self.input_size)
        content = self._scaled(size)
        if self.input_size is None:
            return Placement(size, content, (0, 0), content, self._factor(size) if self.box_scaling == "factor" else None)
        free = (self.input_size[0] - content[0], self.input_size[1] - content[1])
        offset = (free[0] // 2, free[1] // 2) if self.pad_side == "both" else (0, 0)
        return Placement(size, content, offset, self.input_size, self._factor(size) if self.box_scaling == "factor" else None)

    def _factor(self, size: Size) -> float:
        if self.input_size is None:
            scale = min(self.short_side / min(size), self.long_side / max(size))
        else:
            scale = min(self.input_size[0] / size[0], self.input_size[1] / size[1])
        return scale if self.enlarge else min(scale, 1.0)

    def _scaled(self, size: Size) -> Size:
        """The size with its shape kept, never below one pixel (torchvision's rule fails on a 1 x 5000 image)."""
        scale = self._factor(size)
        short = round(min(size) * scale)
        if self.rounding == "short_first" and short:
            return (short, short * size[1] // size[0]) if size[0] <= size[1] else (short * size[0] // size[1], short)
        whole = math.floor if self.rounding == "floor" else round
        return max(1, whole(size[0] * scale)), max(1, whole(size[1] * scale))
