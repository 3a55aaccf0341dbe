"""The plan of an image pyramid: which views there are of an image of any size; numpy only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detkit.arrays import Flags, Floats, Integers, Size
from detkit.data.media.regions import LARGE_PIXELS
from detkit.inference.runtime import RuntimeInfo
from detkit.inference.views.scales import base_side, scale_factors, scaled_config
from detkit.inference.views.view import CUT_MARGIN, Range, View
from detkit.ops.windows import Window, areas, cover, cover_by_factor
from detkit.preprocess.config import PreprocessConfig

MIN_TILE, MAX_TILE = 32, 1 << 16
"""Shortest and longest side of a tile in pixels."""


class Level(NamedTuple):
    """Windows of equal size that cover an image.

    Attributes:
        windows: The windows.
        config: How they are resized.
        sizes: Detections kept from them; see :class:`View`.
        is_tiled: Whether each window is an image of its own.
    """

    windows: tuple[Window, ...]
    config: PreprocessConfig
    sizes: Range
    is_tiled: bool


@dataclass(frozen=True)
class ViewPlan:
    """Scales of the whole image, and sizes of tiles.

    Attributes:
        info: The detector.
        factors: Factors on the detector's input size, at which the whole image is seen.
        tiles: Sides of the tiles in pixels of the image.
        sizes: For each factor, then for each side of a tile, the range of detections to keep.
        flip: Whether each view is also flipped.
        window_overlap: Minimum overlap of windows at a factor, as a fraction of their sides.
        tile_overlap: Minimum overlap of tiles, as a fraction of their sides.
    """

    info: RuntimeInfo
    factors: tuple[float, ...]
    tiles: tuple[int, ...]
    sizes: tuple[Range, ...]
    flip: bool
    window_overlap: float
    tile_overlap: float

    def levels(self, size: Size) -> Iterator[Level]:
        """Yield the windows of an image of ``size``, level by level."""
        own, fixed = self.info.preprocess, self.info.input_size is not None
        for factor, sizes in zip(self.factors, self.sizes, strict=False):
            config = own if fixed else scaled_config(own, factor, self.info.pad_multiple)
            yield Level(tuple(cover_by_factor(size, factor if fixed else 1.0, self.window_overlap)), config, sizes, False)
        for side, sizes in zip(self.tiles, self.sizes[len(self.factors) :], strict=True):
            window = min(side, size[0]), min(side, size[1])
            yield Level(tuple(cover(size, window, self.tile_overlap)), own, sizes, True)

    def views(self, size: Size) -> tuple[View, ...]:
        """Return the views of an image of ``size``, each once: a tile of an image that fits it is the whole image."""
        flips = (False, True) if self.flip else (False,)
        views = (
            View(window, level.config, level.sizes, flipped, level.is_tiled, self._reduction(level, window, size))
            for level in self.levels(size)
            for window in level.windows
            for flipped in flips
        )
        return tuple(dict.fromkeys(views))

    def _reduction(self, level: Level, window: Window, size: Size) -> int:
        """Return how far a window of a huge image is reduced by averaging, to at least twice the size of the input."""
        if not self.tiles or size[0] * size[1] <= LARGE_PIXELS or self.info.takes_proposals:
            return 1
        content = level.config.placement(window.size).content
        return max(1, min(side // (2 * short) for side, short in zip(window.size, content, strict=True)))

    def sources(self, boxes: Floats, size: Size) -> Integers:
        """Return the number of levels, mirrored ones too, that show each of the boxes ``(n, 4)`` completely and keep its size."""
        sides = np.sqrt(areas(boxes))
        counts = np.zeros(len(boxes), np.int64)
        for level in dict.fromkeys(self.levels(size)):
            low, high = level.sizes
            counts += (sides >= low) & (sides < high) & _contained(boxes, level.windows, size)
        return np.maximum(counts, 1) * (2 if self.flip else 1)

    def __str__(self) -> str:
        parts = [self._scales_text()] if self.factors else []
        if self.tiles:
            sides = " and ".join(f"{side} x {side}" for side in self.tiles)
            whole = " and the whole image at" if self.factors else ""
            parts.insert(0, f"tiles of {sides} pixels that overlap by {100 * self.tile_overlap:g} %{whole}")
        return f"{' '.join(parts)}{', each also flipped' if self.flip else ''}"

    def _scales_text(self) -> str:
        factors = ", ".join(f"{factor:.3g}" for factor in self.factors)
        size = self.info.input_size
        if size is not None:
            counts = ", ".join(str(len(cover_by_factor((1000, 1000), factor, self.window_overlap))) for factor in self.factors)
            views = f"{counts} windows of {size[1]} x {size[0]} pixels"
        else:
            views = f"short sides {', '.join(f'{base_side(self.info.preprocess) * factor:.0f}' for factor in self.factors)} pixels"
        return f"{views} ({factors} times the detector's own size)"


def view_plan(
    info: RuntimeInfo,
    scales: Sequence[float],
    tiles: Sequence[int],
    *,
    sizes: Sequence[Range] | None,
    flip: bool,
    window_overlap: float,
    tile_overlap: float,
) -> ViewPlan:
    """Return a checked plan; the arguments are those of :class:`detkit.inference.ImagePyramid`.

    Raises:
        ValueError: If an argument is out of range; the message states the expected range.
    """
    if info.segments and sizes:
        raise ValueError(f"{info.name} predicts the class of each pixel, not objects with sizes; leave out sizes")
    factors = scale_factors(scales, info.preprocess) if scales or not tiles else ()
    for side in tiles:
        if not (isinstance(side, int) and MIN_TILE <= side <= MAX_TILE):
            raise ValueError(f"tiles: expected sides in whole pixels, from {MIN_TILE} to {MAX_TILE}; got {side}")
    ranges = tuple(sizes or ((0.0, math.inf),) * (len(factors) + len(tiles)))
    if len(ranges) != len(factors) + len(tiles):
        levels = f"{len(factors)} scales" + (f" and {len(tiles)} sizes of tiles" if tiles else "")
        raise ValueError(f"sizes: expected one range for each of {levels}, got {len(ranges)}")
    for low, high in ranges:
        if not 0 <= low < high:
            raise ValueError(f"sizes: expected ranges (from, below) with 0 <= from < below, got ({low:g}, {high:g})")
    for name, overlap in (("window_overlap", window_overlap), ("tile_overlap", tile_overlap)):
        if not 0 <= overlap < 1:
            raise ValueError(f"{name}: expected a number from 0 to below 1, got {overlap:g}")
    return ViewPlan(info, factors, tuple(tiles), ranges, flip, window_overlap, tile_overlap)


def _contained(boxes: Floats, windows: Sequence[Window], size: Size) -> Flags:
    """Return which boxes ``(n, 4)`` are complete in at least one of the windows."""
    found = np.zeros(len(boxes), np.bool_)
    for window in windows:
        margins = np.array([window.size[1], window.size[0]], np.float32) * CUT_MARGIN
        low = np.where(np.array(window[:2]) > 0, np.array(window[:2]) + margins, -np.inf)
        high = np.where(np.array(window[2:]) < np.array([size[1], size[0]]), np.array(window[2:]) - margins, np.inf)
        found |= ((boxes[:, :2] >= low) & (boxes[:, 2:] <= high)).all(1)
    return found
