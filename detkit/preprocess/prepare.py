"""Resizing a image to a model's input."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from detkit.preprocess.config import PreprocessConfig
from detkit.preprocess.placement import Placement
from detkit.preprocess.shrink import shrink, shrinks_much
from detkit.structures import Detections, Proposals, Size


@dataclass(frozen=True, eq=False)
class Prepared:
    """A image ready for a model.

    Attributes:
        image: ``(3, H, W)`` float32, RGB in [0, 1] unless the config says otherwise.
        placement: Where the image lies in it.
        proposals: Where to look, in the pixels of ``image``, for detectors that are told.
    """

    image: Tensor
    placement: Placement
    proposals: Proposals | None = None

    @property
    def size(self) -> Size:
        """``(height, width)`` of :attr:`image`."""
        return self.placement.canvas

    @property
    def original_size(self) -> Size:
        """``(height, width)`` of the image."""
        return self.placement.original

    def restore(self, detections: Detections) -> Detections:
        """Detections on :attr:`image`, in the image's own pixels and clipped to it."""
        return self.placement.restore(detections)


def preprocess(image: NDArray[np.uint8] | Tensor, config: PreprocessConfig) -> Prepared:
    """Resize and fill a image as ``config`` says.

    Equals ``torchvision.models.detection.transform.GeneralizedRCNNTransform`` (its resizing) under the default config.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, or a tensor ``(3, H, W)``, uint8 or float in [0, 1].
        config: The model's rule.

    Raises:
        ValueError: the array has another shape or type, or no pixels.
    """
    channels = image.shape[-1 if isinstance(image, np.ndarray) else 0] if image.ndim == 3 else 0
    if channels != 3 or 0 in image.shape:
        raise ValueError(f"image: expected (H, W, 3) uint8 or a (3, H, W) tensor with pixels in it, got shape {tuple(image.shape)}")
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1) if isinstance(image, np.ndarray) else image
    placement = config.placement((int(pixels.shape[1]), int(pixels.shape[2])))
    resized = _resized(pixels, placement.content, config)
    return Prepared(_filled(resized, placement, config), placement)


def as_input(image: Tensor, config: PreprocessConfig) -> Tensor:
    """A ``(..., 3, H, W)`` RGB image, uint8 or float in [0, 1], as contiguous float32 in the model's channel order and range.

    The same conversion serves training, where images were resized by augmentation already.

    Raises:
        ValueError: the type is neither uint8 nor float.
    """
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise ValueError(f"image: expected uint8, or float in [0, 1], got {image.dtype}")
    ordered = image.flip(-3) if config.channel_order == "bgr" else image
    values = ordered.contiguous().to(torch.float32)
    if image.dtype == torch.uint8:
        return values if config.max_value == 255 else values.div_(255)
    return values * 255 if config.max_value == 255 else values


def as_image(image: Tensor, config: PreprocessConfig) -> Tensor:
    """The way back from :func:`as_input`: an input ``(3, H, W)`` as RGB in [0, 1]."""
    photo = image / config.max_value
    return photo.flip(0) if config.channel_order == "bgr" else photo


def _resized(pixels: Tensor, size: Size, config: PreprocessConfig) -> Tensor:
    """The image as floats, at its new size."""
    if config.interpolation == "bilinear_bytes":
        return as_input(_resized_bytes(pixels, size), config)
    plain = config.interpolation == "bilinear" and not config.antialias
    if plain and pixels.dtype == torch.uint8 and shrinks_much((pixels.shape[1], pixels.shape[2]), size):
        return shrink(pixels, size, lambda picked: as_input(picked, config))
    image = as_input(pixels, config)
    if tuple(image.shape[-2:]) == size:
        return image
    smooth = config.interpolation != "nearest"
    made: Tensor = functional.interpolate(
        image[None],
        size=size,
        mode=config.interpolation,
        align_corners=False if smooth else None,
        antialias=config.antialias and smooth,
    )[0]
    return made.clamp_(0, config.max_value) if config.interpolation == "bicubic" else made


def _resized_bytes(pixels: Tensor, size: Size) -> Tensor:
    """The image in whole bytes at its new size; OpenCV works on the CPU, wherever the image is."""
    whole = pixels if pixels.dtype == torch.uint8 else (pixels * 255).round().to(torch.uint8)
    if tuple(pixels.shape[-2:]) == size:
        return whole
    rows = cv2.resize(whole.permute(1, 2, 0).contiguous().cpu().numpy(), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(rows).permute(2, 0, 1).to(pixels.device)


def _filled(image: Tensor, placement: Placement, config: PreprocessConfig) -> Tensor:
    if placement.canvas == placement.content:
        return image
    canvas = image.new_full((3, *placement.canvas), config.pad_value * config.max_value / 255)
    (y, x), (height, width) = placement.offset, placement.content
    canvas[:, y : y + height, x : x + width] = image
    return canvas
