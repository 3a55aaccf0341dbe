"""Augmentation of one image, from the file's pixels to the size that the model trains on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detkit.arrays import ImageArray
from detkit.data.augment.annotated_image import AnnotatedImage, ImageSampler, drop_small, fit_to_masks
from detkit.data.augment.config import AugmentationConfig, JitterConfig
from detkit.data.augment.geometry import Resampler, filled_canvas, paste, visible_patch
from detkit.data.augment.library import LibraryTransforms, color_calls, geometry_calls, mosaic_calls
from detkit.data.augment.mixes import blend, mixup, mosaic
from detkit.data.augment.sizes import Layout, SizeRule
from detkit.data.augment.views import drop_outside_centers, iou_crop, zoom_out
from detkit.ops.windows import Window
from detkit.preprocess import PreprocessConfig


class Augmenter:
    """Augment images at random, together with their targets and proposals.

    The result depends only on the image, the random generator, ``sample_image`` and the epoch. There is no state, and an augmenter
    can be sent to another process.

    Args:
        config: The augmentation to apply.
        preprocess: The model's preprocessing for detection; it determines the size unless the config does.

    Raises:
        ValueError: If the config does not fit the model's input size, or names a transform that albumentations does not have.
    """

    def __init__(self, config: AugmentationConfig, preprocess: PreprocessConfig | None = None) -> None:
        model = preprocess or PreprocessConfig()
        self.config = config
        self._sizes = SizeRule(config.resize, model)
        # Images are resampled as in the model's preprocessing, but averaged where they shrink much more than they do there.
        shrinks = isinstance(config.resize, JitterConfig) or config.zoom_out is not None
        self._resampler = Resampler(model.interpolation, 1.0 if model.antialias else 0.5 * shrinks)
        self._geometry = LibraryTransforms(geometry_calls(config), config.min_visibility)
        self._colors = LibraryTransforms(color_calls(config))
        self._mosaic = LibraryTransforms(mosaic_calls(config), config.min_visibility)
        after = config.mixup is not None and config.mixup.after_augmentation
        self._mixup, self._blend = None if after else config.mixup, config.mixup if after else None

    def __call__(
        self,
        image: AnnotatedImage,
        random_numbers: np.random.Generator,
        sample_image: ImageSampler | None = None,
        epoch: int = 0,
    ) -> AnnotatedImage:
        """Return an augmented copy of the image.

        Args:
            image: The image as read from its file.
            random_numbers: The source of all randomness.
            sample_image: Draws other images of the data set for mosaic and mixup; None disables both.
            epoch: The current epoch; mosaic and mixup end at ``mix_until_epoch``.
        """
        last = self.config.mix_until_epoch
        if last is not None and epoch >= last:
            sample_image = None
        augmented = self._augment(image, random_numbers, sample_image)
        if sample_image is not None and self._blend is not None and random_numbers.random() < self._blend.probability:
            other = self._augment(sample_image(random_numbers), random_numbers, sample_image)
            augmented = blend(augmented, other, self._blend, random_numbers)
        return augmented

    def _augment(self, image: AnnotatedImage, random_numbers: np.random.Generator, sample_image: ImageSampler | None) -> AnnotatedImage:
        """Return an augmented copy of the image, before it is blended with another one."""
        keeps_view = False
        if sample_image is not None:
            image, keeps_view = self._mix(image, random_numbers, sample_image)
        image = self._geometry(image, random_numbers)
        view = Window(0, 0, image.size[1], image.size[0]) if keeps_view else self._view(image, random_numbers)
        if self.config.crop is not None:
            image = drop_outside_centers(image, view)
        return self._render(image, view, random_numbers)

    def _mix(self, image: AnnotatedImage, random_numbers: np.random.Generator, sample_image: ImageSampler) -> tuple[AnnotatedImage, bool]:
        """Return the image combined with others, and whether it is neither zoomed out nor cropped afterwards."""
        config, keeps_view = self.config.mosaic, False
        if config is not None and random_numbers.random() < config.probability:
            size = config.size or self._sizes.input_size
            images = [image, *(sample_image(random_numbers) for _ in range(3))]
            image = self._mosaic(mosaic(images, size, config, self.config.min_visibility, random_numbers), random_numbers)
            keeps_view = config.skip_crops
        if self._mixup is not None and random_numbers.random() < self._mixup.probability:
            image = mixup(image, sample_image(random_numbers), self._mixup, self.config.min_visibility, random_numbers)
        return image, keeps_view

    def _view(self, image: AnnotatedImage, random_numbers: np.random.Generator) -> Window:
        """Draw the visible window, in pixels of the image; it may extend beyond it."""
        config, view = self.config, Window(0, 0, image.size[1], image.size[0])
        if config.zoom_out is not None and random_numbers.random() < config.zoom_out.probability:
            view = zoom_out(view, config.zoom_out, random_numbers)
        if config.crop is not None and random_numbers.random() < config.crop.probability:
            boxes = image.targets.boxes[~image.targets.is_crowd]
            view = iou_crop(view, boxes.numpy().astype(np.float64), config.crop, random_numbers)
        return view

    def _render(self, image: AnnotatedImage, view: Window, random_numbers: np.random.Generator) -> AnnotatedImage:
        """Return the view at its final size, with pixels resampled once; colors are changed before the canvas is filled."""
        x1, y1, x2, y2 = view
        layout = self._sizes.layout(view.size, random_numbers)
        scale = layout.content[0] / (y2 - y1), layout.content[1] / (x2 - x1)
        corner = layout.corner[0] - y1 * scale[0], layout.corner[1] - x1 * scale[1]
        patch = visible_patch(image.size, scale, corner, layout.bounds)
        if patch is None:
            return image.mapped(self._canvas(layout), lambda rows: rows[:0])
        part = image.mapped(patch.pixels(image.image, self._resampler), lambda rows: patch.rows(rows, self.config.min_visibility))
        part = self._colors(part, random_numbers)
        if patch.size != layout.canvas:
            canvas = self._canvas(layout)
            paste(canvas, part.image, patch.corner)
            part = part.mapped(canvas, lambda rows: rows)
        part = replace(part, targets=fit_to_masks(part.targets))
        return part.mapped(part.image, lambda rows: drop_small(rows, self.config.min_side))

    def _canvas(self, layout: Layout) -> ImageArray:
        """Return the canvas under the image: the fill of the layout and, within the bounds of a larger view, that of zoom-out."""
        canvas, config = filled_canvas(layout.canvas, layout.fill), self.config.zoom_out
        if config is not None:
            left, top, right, bottom = layout.bounds
            canvas[top:bottom, left:right] = config.fill
        return canvas
