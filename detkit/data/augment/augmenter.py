"""All of augmentation for one image, from the file's pixels to the size that the model trains on."""

from __future__ import annotations

import numpy as np

from detkit.data.augment.annotated_image import AnnotatedImage, Image, Other, without_small
from detkit.data.augment.config import AugmentationConfig, JitterConfig
from detkit.data.augment.geometry import Lens, Window, blank, paste, patch
from detkit.data.augment.library import LibrarySteps, color_calls, geometry_calls
from detkit.data.augment.mixes import mixup, mosaic
from detkit.data.augment.sizes import Layout, SizeRule
from detkit.data.augment.views import iou_crop, without_centers_outside, zoomed_out
from detkit.preprocess import PreprocessConfig


class Augmenter:
    """Changes images at random, with everything that is known about places in them.

    What comes out depends on the image, the random generator, ``more`` and the epoch alone: there is no state, and
    an augmenter can be sent to another process.

    Args:
        config: What to do.
        preprocess: How the model sees images when it detects; it decides the size unless the config does.

    Raises:
        ValueError: the config does not fit the model's input, or names what albumentations does not have.
    """

    def __init__(self, config: AugmentationConfig, preprocess: PreprocessConfig | None = None) -> None:
        model = preprocess or PreprocessConfig()
        self.config = config
        self._sizes = SizeRule(config.resize, model)
        # Pixels are made as the model's preprocessing does, but averaged where a image shrinks by much more than there.
        shrinks = isinstance(config.resize, JitterConfig) or config.zoom_out is not None
        self._lens = Lens(model.interpolation, 1.0 if model.antialias else 0.5 * shrinks)
        self._geometry = LibrarySteps(geometry_calls(config), config.min_visibility)
        self._colors = LibrarySteps(color_calls(config))

    def __call__(
        self, image: AnnotatedImage, random_numbers: np.random.Generator, more: Other | None = None, epoch: int = 0
    ) -> AnnotatedImage:
        """A changed copy of the image.

        Args:
            image: As read from its file.
            random_numbers: All chance comes from here.
            more: Gives other images of the data set, for mosaic and mixup; without it there are none.
            epoch: The epoch, in which mosaic and mixup may have ended.
        """
        last = self.config.mix_until_epoch
        if more is not None and (last is None or epoch < last):
            image = self._mixed(image, random_numbers, more)
        image = self._geometry(image, random_numbers)
        view = self._view(image, random_numbers)
        if self.config.crop is not None:
            image = without_centers_outside(image, view)
        return self._seen(image, view, random_numbers)

    def _mixed(self, image: AnnotatedImage, random_numbers: np.random.Generator, more: Other) -> AnnotatedImage:
        config = self.config
        if config.mosaic is not None and random_numbers.random() < config.mosaic.probability:
            size = config.mosaic.size or self._sizes.input_size
            images = [image, *(more(random_numbers) for _ in range(3))]
            image = mosaic(images, size, config.mosaic, config.min_visibility, random_numbers)
        if config.mixup is not None and random_numbers.random() < config.mixup.probability:
            image = mixup(image, more(random_numbers), config.mixup, config.min_visibility, random_numbers)
        return image

    def _view(self, image: AnnotatedImage, random_numbers: np.random.Generator) -> Window:
        """What is to be seen, in the image's pixels and maybe beyond it."""
        config, view = self.config, (0, 0, image.size[1], image.size[0])
        if config.zoom_out is not None and random_numbers.random() < config.zoom_out.probability:
            view = zoomed_out(view, config.zoom_out, random_numbers)
        if config.crop is not None and random_numbers.random() < config.crop.probability:
            boxes = image.targets.boxes[~image.targets.is_crowd]
            view = iou_crop(view, boxes.numpy().astype(np.float64), config.crop, random_numbers)
        return view

    def _seen(self, image: AnnotatedImage, view: Window, random_numbers: np.random.Generator) -> AnnotatedImage:
        """The view in its final size, pixels touched once; colors are changed before anything is filled."""
        x1, y1, x2, y2 = view
        layout = self._sizes.layout((y2 - y1, x2 - x1), random_numbers)
        scale = layout.content[0] / (y2 - y1), layout.content[1] / (x2 - x1)
        corner = layout.corner[0] - y1 * scale[0], layout.corner[1] - x1 * scale[1]
        on = patch(image.size, scale, corner, layout.bounds)
        if on is None:
            return image.mapped(self._canvas(layout), lambda rows: rows[:0])
        part = image.mapped(on.pixels(image.image, self._lens), lambda rows: on.rows(rows, self.config.min_visibility))
        part = self._colors(part, random_numbers)
        if on.size != layout.canvas:
            canvas = self._canvas(layout)
            paste(canvas, part.image, on.corner)
            part = part.mapped(canvas, lambda rows: rows)
        return part.mapped(part.image, lambda rows: without_small(rows, self.config.min_side))

    def _canvas(self, layout: Layout) -> Image:
        """What is seen where no image is: the filling of the size and, within that of a larger view, its own."""
        canvas, zoom_out = blank(layout.canvas, layout.fill), self.config.zoom_out
        if zoom_out is not None:
            left, top, right, bottom = layout.bounds
            canvas[top:bottom, left:right] = zoom_out.fill
        return canvas
