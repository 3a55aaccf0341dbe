"""How a image becomes a model's input, and how boxes come back to the image's own pixels."""

from detkit.preprocess.config import PreprocessConfig
from detkit.preprocess.placement import Placement
from detkit.preprocess.prepare import Prepared, as_image, as_input, preprocess

__all__ = ["Placement", "Prepared", "PreprocessConfig", "as_image", "as_input", "preprocess"]
