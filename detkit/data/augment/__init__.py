"""Random augmentation of training images together with their boxes."""

from detkit.data.augment.annotated_image import AnnotatedImage
from detkit.data.augment.augmenter import Augmenter
from detkit.data.augment.config import PRESETS, AugmentationConfig

__all__ = ["PRESETS", "AnnotatedImage", "AugmentationConfig", "Augmenter"]
