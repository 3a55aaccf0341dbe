"""Scales of an image pyramid: sizes of the model's input relative to the one in its config; numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from detkit.preprocess.config import PreprocessConfig

MAX_FACTOR, MIN_PIXELS = 16, 32
"""Scales up to ``MAX_FACTOR`` are factors on the detector's own size, scales from ``MIN_PIXELS`` on are short sides in pixels."""


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
