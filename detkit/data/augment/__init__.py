"""Training images changed at random, boxes and all; it could be fired for a box that no longer fits its object."""

from detkit.data.augment.annotated_image import AnnotatedImage
from detkit.data.augment.augmenter import Augmenter
from detkit.data.augment.config import PRESETS, AugmentationConfig

__all__ = ["PRESETS", "AnnotatedImage", "AugmentationConfig", "Augmenter"]
