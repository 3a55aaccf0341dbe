"""Conversion of all accepted image types to ``(H, W, 3)`` uint8 RGB arrays or ``(3, H, W)`` tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detkit.arrays import ImageArray, is_tensor
from detkit.data.media.images import pil_to_rgb, read_image

if TYPE_CHECKING:
    from torch import Tensor

    ImageLike = str | Path | Image.Image | NDArray[Any] | Tensor
else:
    ImageLike = Any


def as_pixels(image: ImageLike) -> ImageArray | Tensor:
    """Return an image as an ``(H, W, 3)`` uint8 RGB array; a ``(3, H, W)`` tensor is returned unchanged.

    Args:
        image: A file, a PIL image (its EXIF orientation is applied), an array ``(H, W, 3)`` or ``(H, W)`` uint8 in RGB,
            or a tensor ``(3, H, W)``, uint8 or float in [0, 1].

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not an image, or an array or tensor has another shape or type.
    """
    if isinstance(image, (str, Path)):
        return read_image(image)
    if isinstance(image, Image.Image):
        return pil_to_rgb(image)
    if is_tensor(image):
        return _checked_tensor(image)
    if isinstance(image, np.ndarray):
        return _checked_array(image)
    raise ValueError(f"image: expected a path, a PIL image, an array or a tensor, got {type(image).__name__}")


def _checked_array(array: NDArray[Any]) -> ImageArray:
    if array.dtype != np.uint8:
        raise ValueError(
            f"image: expected an array of uint8, got {array.dtype} of shape {array.shape}; "
            "floats in [0, 1] can be given as a (3, H, W) tensor, 16 bits must be divided by 257"
        )
    if array.ndim == 2:
        return np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim == 3 and array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        advice = "; drop the fourth channel: array[..., :3]" if array.ndim == 3 and array.shape[2] == 4 else ""
        advice = advice or ("; it looks like (3, H, W): give it as a tensor" if array.ndim == 3 and array.shape[0] == 3 else "")
        raise ValueError(f"image: expected an array (H, W, 3) or (H, W) in RGB order, got shape {array.shape}{advice}")
    return array


def _checked_tensor(tensor: Tensor) -> Tensor:
    if tensor.ndim == 4:
        raise ValueError(f"image: expected a tensor (3, H, W), got {tuple(tensor.shape)}; give a list of images: list(batch)")
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise ValueError(f"image: expected a tensor (3, H, W), got {tuple(tensor.shape)}")
    if str(tensor.dtype) != "torch.uint8" and not tensor.is_floating_point():
        raise ValueError(f"image: expected a tensor of uint8, or of floats in [0, 1], got {tensor.dtype}; give uint8: tensor.byte()")
    if tensor.is_floating_point() and tensor.numel() and not (float(tensor.min()) >= 0 and float(tensor.max()) <= 1):
        low, high = float(tensor.min()), float(tensor.max())
        raise ValueError(f"image: expected floats in [0, 1], got {low:g} to {high:g}; give uint8, or divide by 255")
    return tensor
