"""Conversion of an image to a model's input as a tensor, on any device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from detkit.preprocess.arrays import Prepared, check_shape, resize_bytes
from detkit.preprocess.config import PreprocessConfig
from detkit.preprocess.downscale import downscale
from detkit.preprocess.placement import Placement
from detkit.preprocess.resample import is_large_downscale
from detkit.structures import Proposals, Size


@dataclass(frozen=True, eq=False)
class PreparedImage(Prepared):
    """An image prepared for a model as a tensor.

    Attributes:
        image: ``(3, H, W)`` float32, RGB in [0, 1] unless the config states otherwise.
        proposals: Proposals in pixels of ``image``, for detectors that take them.
    """

    image: Tensor
    proposals: Proposals | None = None


def preprocess(image: NDArray[np.uint8] | Tensor, config: PreprocessConfig) -> PreparedImage:
    """Resize and pad an image to a model's input.

    With the default config the resizing equals that of ``torchvision.models.detection.transform.GeneralizedRCNNTransform``.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, or a tensor ``(3, H, W)``, uint8 or float in [0, 1].
        config: Input configuration of the model.

    Raises:
        ValueError: If the image has another shape or dtype, or no pixels.
    """
    check_shape(tuple(image.shape), -1 if isinstance(image, np.ndarray) else 0)
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1) if isinstance(image, np.ndarray) else image
    placement = config.placement((int(pixels.shape[1]), int(pixels.shape[2])))
    resized = _resize(pixels, placement.content, config)
    return PreparedImage(placement, _pad(resized, placement, config))


def as_input(image: Tensor, config: PreprocessConfig) -> Tensor:
    """Convert a ``(..., 3, H, W)`` RGB image, uint8 or float in [0, 1], to contiguous float32 in the model's channel order and range.

    Training uses the same conversion, on images that augmentation has already resized.

    Raises:
        ValueError: If the dtype is neither uint8 nor float.
    """
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise ValueError(f"image: expected uint8, or float in [0, 1], got {image.dtype}")
    ordered = image.flip(-3) if config.channel_order == "bgr" else image
    values = ordered.contiguous().to(torch.float32)
    if image.dtype == torch.uint8:
        return values if config.max_value == 255 else values.div_(255)
    return values * 255 if config.max_value == 255 else values


def as_image(image: Tensor, config: PreprocessConfig) -> Tensor:
    """Convert a model input ``(3, H, W)`` back to RGB in [0, 1]; the inverse of :func:`as_input`."""
    rgb = image / config.max_value
    return rgb.flip(0) if config.channel_order == "bgr" else rgb


def _resize(pixels: Tensor, size: Size, config: PreprocessConfig) -> Tensor:
    """Convert the image to floats and resize it."""
    if config.interpolation == "bilinear_bytes":
        return as_input(_resize_bytes(pixels, size), config)
    plain_bilinear = config.interpolation == "bilinear" and not config.antialias
    if plain_bilinear and pixels.dtype == torch.uint8 and is_large_downscale((pixels.shape[1], pixels.shape[2]), size):
        return downscale(pixels, size, lambda picked: as_input(picked, config))
    image = as_input(pixels, config)
    if tuple(image.shape[-2:]) == size:
        return image
    smooth = config.interpolation != "nearest"
    resized: Tensor = functional.interpolate(
        image[None],
        size=size,
        mode=config.interpolation,
        align_corners=False if smooth else None,
        antialias=config.antialias and smooth,
    )[0]
    return resized.clamp_(0, config.max_value) if config.interpolation == "bicubic" else resized


def _resize_bytes(pixels: Tensor, size: Size) -> Tensor:
    """Resize the image in uint8; OpenCV runs on the CPU, whatever the device of the image."""
    image = pixels if pixels.dtype == torch.uint8 else (pixels * 255).round().to(torch.uint8)
    if tuple(pixels.shape[-2:]) == size:
        return image
    resized = resize_bytes(image.permute(1, 2, 0).cpu().numpy(), size)
    return torch.from_numpy(resized).permute(2, 0, 1).to(pixels.device)


def _pad(image: Tensor, placement: Placement, config: PreprocessConfig) -> Tensor:
    if placement.canvas == placement.content:
        return image
    canvas = image.new_full((3, *placement.canvas), config.pad_value * config.max_value / 255)
    into, part = placement.overlap
    canvas[:, *into] = image[:, *part]
    return canvas
