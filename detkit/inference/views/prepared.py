"""The views of one image, each prepared when its turn comes, so that an image of a thousand tiles takes little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from detkit.arrays import ImageArray, Size, is_tensor, to_numpy
from detkit.data.media.image_regions import ArrayRegions, ImageRegions
from detkit.data.media.regions import reduced
from detkit.inference.views.view import View, crop, mirrored, padded
from detkit.ops.windows import Window


@dataclass(frozen=True, eq=False)
class PreparedViews:
    """All views of one image; an input for the detector is made when it is asked for.

    Attributes:
        predictor: The predictor of the views.
        pixels: The image, ``(H, W, 3)`` uint8, a tensor ``(3, H, W)``, or its regions.
        size: Size of the image.
        views: The window and scale of each view.
    """

    predictor: Any
    pixels: Any
    size: Size
    views: tuple[View, ...]

    @cached_property
    def proposals(self) -> Any:
        """The proposals of the whole image; None for detectors that take none."""
        return self.predictor.propose(self.predictor.pixels(self.pixels))

    def input(self, index: int) -> Any:
        """Return the prepared input of a view."""
        view = self.views[index]
        part = crop(self.pixels, view.window, view.config.pad_value) if view.reduction == 1 else self._reduced(view)
        part = mirrored(part) if view.flipped else part
        if view.is_tile or not self.predictor.takes_proposals:
            return self.predictor.prepare(part, view.config)
        return self.predictor.prepare(part, view.config, view.project(self.proposals, self.size))

    def _reduced(self, view: View) -> ImageArray:
        """Return the window of a view with blocks of pixels averaged; a huge tensor is copied for it."""
        regions: ImageRegions = self.pixels
        if is_tensor(self.pixels):
            values = (self.pixels * 255).round().clip(0, 255) if self.pixels.is_floating_point() else self.pixels
            regions = ArrayRegions(to_numpy(values.permute(1, 2, 0)).astype(np.uint8))
        elif isinstance(self.pixels, np.ndarray):
            regions = ArrayRegions(self.pixels)
        height, width = self.size
        window = view.window
        inside = Window(window.x1, window.y1, min(window.x2, width), min(window.y2, height))
        return padded(reduced(regions, inside, view.reduction), view.size, view.config.pad_value)


def batches(images: Sequence[PreparedViews], length: int) -> list[list[tuple[int, int]]]:
    """Return the index of the image and of the view of all views, in batches of at most ``length`` whose inputs have equal sizes."""
    views = [(image, view) for image, prepared in enumerate(images) for view in range(len(prepared.views))]

    def canvas(row: tuple[int, int]) -> Size:
        view = images[row[0]].views[row[1]]
        return view.config.placement(view.size).canvas

    groups = [list(group) for _, group in groupby(sorted(views, key=canvas), key=canvas)]
    return [group[start : start + length] for group in groups for start in range(0, len(group), length)]
