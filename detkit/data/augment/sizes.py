"""The size of training images, determined before any pixel is resized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.data.augment.config import FixedSizeConfig, JitterConfig, KeepSizeConfig, ResizeConfig, ShortSideConfig
from detkit.ops.windows import Window
from detkit.preprocess import PreprocessConfig
from detkit.structures import Size


@dataclass(frozen=True)
class Layout:
    """Position of an image on a canvas: it is resized to ``content`` and placed with its corner at ``corner``.

    Attributes:
        content: ``(height, width)`` of the whole image after resizing; may be larger than the canvas.
        corner: ``(y, x)`` on the canvas, negative where the image extends beyond it.
        canvas: Final ``(height, width)``.
        fill: Gray value where the image does not cover the canvas.
    """

    content: Size
    corner: Size
    canvas: Size
    fill: int = 0

    @property
    def bounds(self) -> Window:
        """``x1 y1 x2 y2`` of the part of the canvas that the image covers."""
        (y, x), (height, width) = self.corner, self.content
        return Window(max(0, x), max(0, y), min(self.canvas[1], x + width), min(self.canvas[0], y + height))


class SizeRule:
    """Draw the layout of an image of any size.

    Args:
        config: How sizes are drawn.
        model: The model's preprocessing for detection.

    Attributes:
        input_size: Canvas of jitter and mosaics: the config's size, else the model's input size, else a square of its short side.

    Raises:
        ValueError: If the config does not fit a model with a fixed input size.
    """

    def __init__(self, config: ResizeConfig, model: PreprocessConfig) -> None:
        self._jitter = config if isinstance(config, JitterConfig) else None
        self._rules = _rules(config, model)
        size = config.size if isinstance(config, JitterConfig | FixedSizeConfig) else None
        self.input_size: Size = size or model.input_size or (model.short_side, model.short_side)

    def layout(self, size: Size, random_numbers: np.random.Generator) -> Layout:
        """Draw the layout of an image of ``size``."""
        if self._jitter is not None:
            return _jittered(size, self.input_size, self._jitter, random_numbers)
        if not self._rules:
            return Layout(size, (0, 0), size)
        rule = self._rules[int(random_numbers.integers(len(self._rules)))]
        placement = rule.placement(size)
        return Layout(placement.content, placement.offset, placement.canvas, rule.pad_value)


def _rules(config: ResizeConfig, model: PreprocessConfig) -> tuple[PreprocessConfig, ...]:
    """Return the preprocessings of which one is drawn for each image; empty to keep images at their size."""
    if isinstance(config, JitterConfig | KeepSizeConfig):
        return ()
    if isinstance(config, ShortSideConfig):
        return tuple(PreprocessConfig(short_side=side, long_side=config.max_side, rounding=model.rounding) for side in config.sides)
    if isinstance(config, FixedSizeConfig):
        rule = PreprocessConfig(rule="letterbox", input_size=config.size, pad_value=config.fill, rounding="nearest")
        return (rule if config.keep_shape else rule.replace(rule="fixed"),)
    if model.rule == "short_side":
        return tuple(model.replace(short_side=max(1, round(model.short_side * factor))) for factor in config.factors)
    if config.factors != (1.0,):
        raise ValueError(
            f"augmentation.resize.factors: expected (1.0,) for a model with the fixed input size {model.input_size}, got {config.factors}; "
            "for objects of many sizes use augmentation.resize=jitter augmentation.resize.size=none"
        )
    return (model,)


def _jittered(size: Size, canvas: Size, config: JitterConfig, random_numbers: np.random.Generator) -> Layout:
    """Fit the image to the canvas and scale it: a smaller one is placed at the top left, a larger one is cropped at random."""
    scale = min(canvas[0] / size[0], canvas[1] / size[1]) * random_numbers.uniform(*config.scale)
    content = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    corner = [-int(random_numbers.integers(max(0, whole - part) + 1)) for whole, part in zip(content, canvas, strict=True)]
    return Layout(content, (corner[0], corner[1]), canvas, config.fill)
