"""Resizing and padding of images to a model's input, and mapping of boxes back to the original image."""

from detkit.preprocess.config import PreprocessConfig
from detkit.preprocess.placement import Placement
from detkit.preprocess.prepare import PreparedImage, as_image, as_input, preprocess

__all__ = ["Placement", "PreparedImage", "PreprocessConfig", "as_image", "as_input", "preprocess"]
