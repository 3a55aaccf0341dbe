"""Training pictures changed at random, boxes and all; it could be fired for a box that no longer fits its object."""

from detkit.data.augment.augmenter import Augmenter
from detkit.data.augment.config import PRESETS, AugmentationConfig
from detkit.data.augment.picture import Picture

__all__ = ["PRESETS", "AugmentationConfig", "Augmenter", "Picture"]
