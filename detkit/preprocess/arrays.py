"""Conversion of an image to a model's input in numpy, with the values that :func:`detkit.preprocess.preprocess` gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Floats, ImageArray, Size
from detkit.preprocess.config import PreprocessConfig
from detkit.preprocess.placement import B, Placement
from detkit.preprocess.resample import bilinear, downscale, filtered, is_large_downscale, nearest


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image prepared for a model.

    Attributes:
        placement: Placement of the original image in the input.
    """

    placement: Placement

    @property
    def size(self) -> Size:
        """``(height, width)`` of the input."""
        return self.placement.canvas

    @property
    def original_size(self) -> Size:
        """``(height, width)`` of the original image."""
        return self.placement.original

    def restore(self, detections: B) -> B:
        """Convert detections from pixels of the input to pixels of the original image, clipped to it."""
        return self.placement.restore(detections)


@dataclass(frozen=True, eq=False)
class PreparedArray(Prepared):
    """An image prepared for a model as a numpy array.

    Attributes:
        image: ``(3, H, W)`` float32, RGB in [0, 1] unless the config states otherwise.
    """

    image: Floats


def check_shape(shape: tuple[int, ...], channels: int) -> None:
    """Check that an image has pixels and three channels.

    Args:
        shape: Shape of the array or tensor.
        channels: Position of the channels in a shape of three sides.

    Raises:
        ValueError: If it has not.
    """
    if len(shape) != 3 or shape[channels] != 3 or 0 in shape:
        raise ValueError(f"image: expected a non-empty (H, W, 3) uint8 array or (3, H, W) tensor, got shape {tuple(shape)}")


def preprocess_array(image: ImageArray, config: PreprocessConfig) -> PreparedArray:
    """Resize and pad an image to a model's input.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        config: Input configuration of the model.

    Raises:
        ValueError: If the image has another shape, or no pixels.
    """
    check_shape(image.shape, -1)
    placement = config.placement((image.shape[0], image.shape[1]))
    padded = _pad(_resize(image, placement.content, config), placement, config)
    return PreparedArray(placement, np.ascontiguousarray(padded))


def _as_input(image: ImageArray, config: PreprocessConfig) -> Floats:
    """Convert ``(H, W, 3)`` bytes to ``(3, H, W)`` floats in the model's channel order and range."""
    ordered = image[..., ::-1] if config.channel_order == "bgr" else image
    values = np.ascontiguousarray(ordered.transpose(2, 0, 1)).astype(np.float32)
    if config.max_value != 255:
        values /= np.float32(255)
    return values


def _resize(image: ImageArray, size: Size, config: PreprocessConfig) -> Floats:
    """Convert the image to floats and resize it."""
    old_size = (image.shape[0], image.shape[1])
    if old_size == size:
        return _as_input(image, config)
    if config.interpolation == "bilinear_bytes":
        return _as_input(resize_bytes(image, size), config)
    if config.interpolation == "nearest":
        return nearest(_as_input(image, config), size)
    if config.interpolation == "bilinear" and not config.antialias:
        if is_large_downscale(old_size, size):
            return downscale(image, size, lambda picked: _as_input(picked, config))
        return bilinear(_as_input(image, config), size)
    cubic = config.interpolation == "bicubic"
    resized = filtered(_as_input(image, config), size, cubic=cubic, antialias=config.antialias)
    return resized.clip(0, config.max_value) if cubic else resized


def resize_bytes(image: ImageArray, size: Size) -> ImageArray:
    """Resize ``(H, W, 3)`` bytes with OpenCV, rounded to whole bytes."""
    import cv2

    return np.asarray(cv2.resize(np.ascontiguousarray(image), (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.uint8)


def _pad(image: Floats, placement: Placement, config: PreprocessConfig) -> Floats:
    if placement.canvas == placement.content:
        return image
    canvas = np.full((3, *placement.canvas), config.pad_value * config.max_value / 255, np.float32)
    into, part = placement.overlap
    canvas[:, *into] = image[:, *part]
    return canvas
