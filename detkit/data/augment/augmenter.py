"""All of augmentation for one picture, from the file's pixels to the size that the model trains on."""

from __future__ import annotations

import numpy as np

from detkit.data.augment.config import AugmentationConfig, JitterConfig
from detkit.data.augment.geometry import Lens, Window, blank, paste, patch
from detkit.data.augment.library import LibrarySteps, colour_calls, geometry_calls
from detkit.data.augment.mixes import mixup, mosaic
from detkit.data.augment.picture import Image, Other, Picture, without_small
from detkit.data.augment.sizes import Layout, SizeRule
from detkit.data.augment.views import iou_crop, without_centres_outside, zoomed_out
from detkit.preprocess import PreprocessConfig


class Augmenter:
    """Changes pictures at random, with everything that is known about places in them.

    What comes out depends on the picture, the random generator, ``more`` and the epoch alone: there is no state, and
    an augmenter can be sent to another process.

    Args:
        config: What to do.
        preprocess: How the model sees pictures when it detects; it decides the size unless the config does.

    Raises:
        ValueError: the config does not fit the model's input, or names what albumentations does not have.
    """

    def __init__(self, config: AugmentationConfig, preprocess: PreprocessConfig | None = None) -> None:
        model = preprocess or PreprocessConfig()
        self.config = config
        self._sizes = SizeRule(config.resize, model)
        # Pixels are made as the model's preprocessing does, but averaged where a picture shrinks by much more than there.
        shrinks = isinstance(config.resize, JitterConfig) or config.zoom_out is not None
        self._lens = Lens(model.interpolation, 1.0 if model.antialias else 0.5 * shrinks)
        self._geometry = LibrarySteps(geometry_calls(config), config.min_visibility)
        self._colours = LibrarySteps(colour_calls(config))

    def __call__(self, picture: Picture, random_numbers: np.random.Generator, more: Other | None = None, epoch: int = 0) -> Picture:
        """A changed copy of the picture.

        Args:
            picture: As read from its file.
            random_numbers: All chance comes from here.
            more: Gives other pictures of the data set, for mosaic and mixup; without it there are none.
            epoch: The epoch, in which mosaic and mixup may have ended.
        """
        last = self.config.mix_until_epoch
        if more is not None and (last is None or epoch < last):
            picture = self._mixed(picture, random_numbers, more)
        picture = self._geometry(picture, random_numbers)
        view = self._view(picture, random_numbers)
        if self.config.crop is not None:
            picture = without_centres_outside(picture, view)
        return self._seen(picture, view, random_numbers)

    def _mixed(self, picture: Picture, random_numbers: np.random.Generator, more: Other) -> Picture:
        config = self.config
        if config.mosaic is not None and random_numbers.random() < config.mosaic.probability:
            size = config.mosaic.size or self._sizes.input_size
            pictures = [picture, *(more(random_numbers) for _ in range(3))]
            picture = mosaic(pictures, size, config.mosaic, config.min_visibility, random_numbers)
        if config.mixup is not None and random_numbers.random() < config.mixup.probability:
            picture = mixup(picture, more(random_numbers), config.mixup, config.min_visibility, random_numbers)
        return picture

    def _view(self, picture: Picture, random_numbers: np.random.Generator) -> Window:
        """What is to be seen, in the picture's pixels and maybe beyond it."""
        config, view = self.config, (0, 0, picture.size[1], picture.size[0])
        if config.zoom_out is not None and random_numbers.random() < config.zoom_out.probability:
            view = zoomed_out(view, config.zoom_out, random_numbers)
        if config.crop is not None and random_numbers.random() < config.crop.probability:
            boxes = picture.targets.boxes[~picture.targets.is_crowd]
            view = iou_crop(view, boxes.numpy().astype(np.float64), config.crop, random_numbers)
        return view

    def _seen(self, picture: Picture, view: Window, random_numbers: np.random.Generator) -> Picture:
        """The view in its final size, pixels touched once; colours are changed before anything is filled."""
        x1, y1, x2, y2 = view
        layout = self._sizes.layout((y2 - y1, x2 - x1), random_numbers)
        scale = layout.content[0] / (y2 - y1), layout.content[1] / (x2 - x1)
        corner = layout.corner[0] - y1 * scale[0], layout.corner[1] - x1 * scale[1]
        on = patch(picture.size, scale, corner, layout.bounds)
        if on is None:
            return picture.mapped(self._canvas(layout), lambda rows: rows[:0])
        part = picture.mapped(on.pixels(picture.image, self._lens), lambda rows: on.rows(rows, self.config.min_visibility))
        part = self._colours(part, random_numbers)
        if on.size != layout.canvas:
            canvas = self._canvas(layout)
            paste(canvas, part.image, on.corner)
            part = part.mapped(canvas, lambda rows: rows)
        return part.mapped(part.image, lambda rows: without_small(rows, self.config.min_side))

    def _canvas(self, layout: Layout) -> Image:
        """What is seen where no picture is: the filling of the size and, within that of a larger view, its own."""
        canvas, zoom_out = blank(layout.canvas, layout.fill), self.config.zoom_out
        if zoom_out is not None:
            left, top, right, bottom = layout.bounds
            canvas[top:bottom, left:right] = zoom_out.fill
        return canvas
