"""Resizing and padding of images to a model's input, and mapping of boxes back to the original image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.preprocess.arrays import Prepared, PreparedArray, preprocess_array
    from detkit.preprocess.config import PreprocessConfig
    from detkit.preprocess.placement import Placement
    from detkit.preprocess.prepare import PreparedImage, as_image, as_input, preprocess

__all__ = [
    "Placement",
    "Prepared",
    "PreparedArray",
    "PreparedImage",
    "PreprocessConfig",
    "as_image",
    "as_input",
    "preprocess",
    "preprocess_array",
]

# Only tensors need torch.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".arrays": ("Prepared", "PreparedArray", "preprocess_array"),
        ".config": ("PreprocessConfig",),
        ".placement": ("Placement",),
        ".prepare": ("PreparedImage", "as_image", "as_input", "preprocess"),
    },
)
