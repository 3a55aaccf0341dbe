"""How a picture becomes a model's input, and how boxes come back to the picture's own pixels."""

from detkit.preprocess.config import PreprocessConfig
from detkit.preprocess.placement import Placement
from detkit.preprocess.prepare import Prepared, as_input, as_picture, preprocess

__all__ = ["Placement", "Prepared", "PreprocessConfig", "as_input", "as_picture", "preprocess"]
