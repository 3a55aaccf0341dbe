"""Configuration of the random changes of training images, each with its probability and the part of the training in which it is applied."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from detkit.config import Config
from detkit.data.augment.schedule import WHOLE_TRAINING, Span, is_within

Probability = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]


def check_range(value: Range) -> Range:
    """Return a range unless it is descending.

    Raises:
        ValueError: If it is.
    """
    if value[0] > value[1]:
        raise ValueError(f"expected (minimum, maximum), got {value}")
    return value


class RandomTransformConfig(Config):
    """Settings that all random changes have."""

    shorthand: ClassVar[str | None] = "probability"
    probability: Probability = 0.5
    """Probability of applying it."""
    between: Span = WHOLE_TRAINING
    """Fractions of the training from which and until which it is applied."""

    def is_active(self, progress: float) -> bool:
        """Return whether it is applied at a fraction of the training."""
        return is_within(progress, self.between)


class PhotometricConfig(RandomTransformConfig):
    """Random color changes, each by a factor from 1 - x to 1 + x; the hue is shifted by up to x of the color circle."""

    probability: Probability = 0.5
    """Probability that colors are changed."""
    brightness: float = Field(0.125, ge=0, le=1)
    """Largest change of brightness."""
    contrast: float = Field(0.5, ge=0, le=1)
    """Largest change of contrast."""
    saturation: float = Field(0.5, ge=0, le=1)
    """Largest change of saturation."""
    hue: float = Field(0.05, ge=0, le=0.5)
    """Largest shift of the hue; .5 is half the color circle."""
    independent: bool = False
    """Draw for each of the four changes whether it is applied, as SSD and torchvision do, instead of once for all."""
    channel_shuffle: Probability = 0.0
    """Probability of putting the color channels in a random order; torchvision's RandomPhotometricDistort, and so RT-DETR, uses 0.5."""


class RotationConfig(RandomTransformConfig):
    """Small rotations and shears; a box becomes the bounds of its rotated inscribed ellipse, which is tighter than its rotated corners."""

    degrees: float = Field(10.0, ge=0, le=180)
    """Largest rotation either way, in degrees."""
    shear: float = Field(2.0, ge=0, le=45)
    """Largest shear either way, in degrees, along each axis."""


class ZoomOutConfig(RandomTransformConfig):
    """Place the image at random on a larger canvas of one color, for smaller objects (SSD, arXiv:1512.02325, section 3.6)."""

    max_scale: float = Field(4.0, ge=1)
    """Largest factor of the canvas's height and width; drawn from 1 to this."""
    fill: tuple[int, int, int] = (124, 116, 104)
    """RGB color of the canvas; by default ImageNet's mean, which most models normalize to zero."""


class IoUCropConfig(RandomTransformConfig):
    """Random crop with at least a randomly drawn IoU with some object (SSD, arXiv:1512.02325, section 2.2)."""

    probability: Probability = 1.0
    """Probability that a crop is tried; with the default ``min_ious``, one time in seven that is the whole image."""
    min_ious: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    """Values from which the minimum IoU of a crop with some object is drawn; 1 means the whole image."""
    min_scale: float = Field(0.3, gt=0, le=1)
    """Minimum height and width of a crop, as a fraction of the image's."""
    aspect: tuple[float, float] = (0.5, 2.0)
    """Minimum and maximum aspect ratio of a crop, width divided by height."""
    trials: int = Field(40, ge=1)
    """Number of crops tried for one minimum IoU before another is drawn."""

    _check = field_validator("aspect")(check_range)


class MosaicConfig(RandomTransformConfig):
    """Four images that meet at a random point of a canvas (YOLOv4, arXiv:2004.10934; defaults from YOLOX's code)."""

    probability: Probability = 1.0
    """Probability of applying it."""
    size: tuple[int, int] | None = None
    """Canvas size, ``(height, width)``; none: the model's input size, or a square of its short side."""
    scale: Range = (0.5, 1.5)
    """Range of the scale factor applied after each image is fitted to the canvas; one factor is drawn for all four images."""
    fill: int = Field(114, ge=0, le=255)
    """Gray value where no image covers the canvas."""
    max_shift: float = Field(0.5, ge=0, le=1)
    """Largest distance of the point from the center of the canvas, as a fraction of its sides times the scale factor."""
    degrees: float = Field(0.0, ge=0, le=180)
    """Largest rotation of the mosaic either way, in degrees; DEIM uses 10."""
    skip_crops: bool = False
    """Apply neither zoom-out nor the IoU crop to a mosaic, as DEIM does."""

    _check = field_validator("scale")(check_range)


class MixupConfig(RandomTransformConfig):
    """Blend a second image over the first and keep the objects of both (YOLOX, arXiv:2107.08430)."""

    probability: Probability = 1.0
    """Probability of applying it."""
    scale: Range = (0.5, 1.5)
    """Range of the scale factor applied after the second image is fitted to the first."""
    share: float = Field(0.5, gt=0, lt=1)
    """Weight of the first image in the blend."""
    share_spread: float = Field(0.0, ge=0, lt=0.5)
    """Largest change of the weight either way, drawn for each image; DEIM uses .05."""
    after_augmentation: bool = False
    """Blend the augmented image with a second one, augmented too and stretched to its size, as DEIM does; ``scale`` is not used."""

    _check = field_validator("scale")(check_range)
