"""All of augmentation for one picture, from the file's pixels to the size that the model trains on."""

from __future__ import annotations

import numpy as np

from detkit.data.augment.config import AugmentationConfig
from detkit.data.augment.geometry import cropped, on_canvas, resized
from detkit.data.augment.library import LibrarySteps, colour_calls, geometry_calls
from detkit.data.augment.picture import Other, Picture, without_small
from detkit.data.augment.sizes import SizeRule
from detkit.preprocess import PreprocessConfig


class Augmenter:
    """Changes pictures at random, with everything that is known about places in them.

    Its result depends on the picture, the random generator and ``more`` alone; it keeps no state and can be sent to
    another process.

    Args:
        config: What to do.
        preprocess: How the model sees pictures when it detects; it decides the size unless the config does.

    Raises:
        ValueError: the config does not fit the model's input, or names what albumentations does not have.
    """

    def __init__(self, config: AugmentationConfig, preprocess: PreprocessConfig | None = None) -> None:
        self.config = config
        self.preprocess = preprocess or PreprocessConfig()
        self._sizes = SizeRule(config.resize, self.preprocess)
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
        picture = self._geometry(picture, random_numbers)
        return self._finished(picture, random_numbers)

    def _finished(self, picture: Picture, random_numbers: np.random.Generator) -> Picture:
        layout = self._sizes.layout(picture.size, random_numbers)
        picture = cropped(picture, layout.window, self.config.min_visibility)
        picture = resized(picture, layout.content, self.preprocess.antialias)
        picture = self._colours(picture, random_numbers)
        picture = on_canvas(picture, layout.canvas, layout.corner, layout.fill)
        return picture.mapped(picture.image, lambda rows: without_small(rows, self.config.min_side))
