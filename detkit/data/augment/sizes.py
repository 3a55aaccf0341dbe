"""What size a training picture gets, decided before a pixel is touched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.data.augment.config import FixedSizeConfig, JitterConfig, KeepSizeConfig, ResizeConfig, ShortSideConfig
from detkit.data.augment.geometry import Window
from detkit.preprocess import PreprocessConfig
from detkit.structures import Size


@dataclass(frozen=True)
class Layout:
    """How a picture comes into its final size: ``window`` is cut out, resized to ``content`` and laid on ``canvas`` at ``corner``.

    Attributes:
        window: ``x1 y1 x2 y2`` in the picture's pixels.
        content: ``(height, width)`` of what was cut out, after resizing.
        canvas: ``(height, width)`` in the end.
        corner: ``(y, x)`` of the content on the canvas.
        fill: Grey of the rest.
    """

    window: Window
    content: Size
    canvas: Size
    corner: Size = (0, 0)
    fill: int = 0


class SizeRule:
    """Draws a layout for a picture of any size.

    Args:
        config: How sizes are drawn.
        model: How the model sees pictures when it detects.

    Raises:
        ValueError: the config does not fit a model of one input size.
    """

    def __init__(self, config: ResizeConfig, model: PreprocessConfig) -> None:
        self._jitter = config if isinstance(config, JitterConfig) else None
        self._rules = _rules(config, model)
        self.input_size = _input_size(config, model)

    def layout(self, size: Size, random_numbers: np.random.Generator) -> Layout:
        """Where the pixels of a picture of ``size`` go."""
        whole = (0, 0, size[1], size[0])
        if self._jitter is not None:
            return _jittered(size, self.input_size, self._jitter, random_numbers)
        if not self._rules:
            return Layout(whole, size, size)
        rule = self._rules[int(random_numbers.integers(len(self._rules)))]
        placement = rule.placement(size)
        return Layout(whole, placement.content, placement.canvas, placement.offset, rule.pad_value)


def _rules(config: ResizeConfig, model: PreprocessConfig) -> tuple[PreprocessConfig, ...]:
    """The preprocessings of which one is drawn for each picture; none keep it as it is."""
    if isinstance(config, JitterConfig | KeepSizeConfig):
        return ()
    if isinstance(config, ShortSideConfig):
        return tuple(PreprocessConfig(short_side=side, long_side=config.max_side, rounding=model.rounding) for side in config.sides)
    if isinstance(config, FixedSizeConfig):
        return (PreprocessConfig(rule="letterbox" if config.keep_shape else "fixed", input_size=config.size, pad_value=config.fill, rounding="nearest"),)
    if model.rule == "short_side":
        return tuple(model.replace(short_side=max(1, round(model.short_side * factor))) for factor in config.factors)
    if config.factors != (1.0,):
        raise ValueError(
            f"augmentation.resize.factors: this model takes one input size, {model.input_size}, so expected (1.0,), got {config.factors}; "
            "for objects of many sizes use augmentation.resize=jitter augmentation.resize.size=none"
        )
    return (model,)


def _input_size(config: ResizeConfig, model: PreprocessConfig) -> Size:
    """The canvas of jitter and of mosaics: what the config says, else the model's input, else a square of its short side."""
    if isinstance(config, JitterConfig | FixedSizeConfig) and config.size is not None:
        return config.size
    return model.input_size or (model.short_side, model.short_side)


def _jittered(size: Size, canvas: Size, config: JitterConfig, random_numbers: np.random.Generator) -> Layout:
    """Fit the picture to the canvas, scale it, and cut at random what sticks out; a shrunk one lies at the top left."""
    scale = min(canvas[0] / size[0], canvas[1] / size[1]) * random_numbers.uniform(*config.scale)
    window, content = [], []
    for old, limit in zip(size, canvas, strict=True):
        part = min(old, max(1, round(limit / scale)))
        start = int(random_numbers.integers(old - part + 1))
        window.append((start, start + part))
        content.append(limit if part < old else min(limit, max(1, round(old * scale))))
    (top, bottom), (left, right) = window
    return Layout((left, top, right, bottom), (content[0], content[1]), canvas, (0, 0), config.fill)
