"""Sizes of objects at the input of a model, where small ones are hard to find."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detkit.arrays import Floats
from detkit.data.records import DetectionData
from detkit.preprocess import PreprocessConfig

SMALL_SIDE = 9.0
"""Side in pixels of the model's input, the square root of the area, below which most objects are missed."""
ACCEPTED_SHARE = 0.01
"""Fraction of smaller boxes up to which no larger input is suggested."""
_MULTIPLE = 32


@dataclass(frozen=True)
class InputSizes:
    """Sides of the objects of a data set, in pixels; the square root of the box area.

    Attributes:
        original: Median in the images.
        resized: Median in the input of the model.
        small: Fraction of the boxes below :data:`SMALL_SIDE` in the input.
    """

    original: float
    resized: float
    small: float


def input_sizes(data: DetectionData, preprocess: PreprocessConfig) -> InputSizes | None:
    """Return the sizes of the boxes of a data set at the input of a model; None without boxes."""
    sides = _sides(data)
    if not len(sides):
        return None
    resized = resized_sides(data, preprocess)
    return InputSizes(float(np.median(sides)), float(np.median(resized)), float((resized < SMALL_SIDE).mean()))


def larger_input(data: DetectionData, preprocess: PreprocessConfig) -> tuple[PreprocessConfig, InputSizes] | None:
    """Suggest a larger input that leaves few boxes too small, up to the original size of the images, and return the sizes there.

    Returns:
        The configuration; None if few boxes are too small, the input cannot be larger, or all images are stretched to one size, which
        detectors of fixed input need.
    """
    sizes = input_sizes(data, preprocess)
    if sizes is None or sizes.small <= ACCEPTED_SHARE or preprocess.rule == "fixed":
        return None
    resized = np.sort(resized_sides(data, preprocess))
    needed = SMALL_SIDE / max(float(np.quantile(resized, ACCEPTED_SHARE)), 1e-3)
    original = float(np.median(1 / np.maximum(_factors(data, preprocess), 1e-9)))
    factor = min(needed, original)
    larger = _enlarged(preprocess, factor)
    at_larger = input_sizes(data, larger)
    return None if factor <= 1 or larger == preprocess or at_larger is None else (larger, at_larger)


def resized_sides(data: DetectionData, preprocess: PreprocessConfig) -> Floats:
    """Return the side of each box of the records at the input of a model, the square root of its area, shape ``(N,)``."""
    return _sides(data) * _factors(data, preprocess)


def _enlarged(preprocess: PreprocessConfig, factor: float) -> PreprocessConfig:
    """Return a configuration with sides multiplied by at least ``factor``, in multiples that all strides divide."""

    def enlarged(side: int) -> int:
        return max(side, math.ceil(side * factor / _MULTIPLE) * _MULTIPLE)

    if preprocess.input_size is not None:
        height, width = preprocess.input_size
        return preprocess.replace(input_size=(enlarged(height), enlarged(width)))
    short_side = enlarged(preprocess.short_side)
    long_side = math.ceil(short_side * preprocess.long_side / preprocess.short_side / _MULTIPLE) * _MULTIPLE
    return preprocess.replace(short_side=short_side, long_side=long_side)


def _sides(data: DetectionData) -> Floats:
    boxes = data.records.boxes
    return np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _factors(data: DetectionData, preprocess: PreprocessConfig) -> Floats:
    """Return the factor by which the side of each box changes: the square root of that of the area."""
    sizes, inverse = np.unique(data.records.sizes, axis=0, return_inverse=True)
    factors = np.empty(len(sizes), np.float32)
    for index, (height, width) in enumerate(sizes.tolist()):
        content = preprocess.placement((height, width)).content
        factors[index] = math.sqrt(content[0] * content[1] / (height * width))
    return factors[inverse.reshape(-1)][data.records.image_index]
