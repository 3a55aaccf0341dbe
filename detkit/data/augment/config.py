"""What is done to training images, in numbers, with presets by name."""

from __future__ import annotations

import ast
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from detkit.config import Config

Probability = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]
Numbers = TypeVar("Numbers", tuple[int, ...], tuple[float, ...])


def _ordered(value: Range) -> Range:
    if value[0] > value[1]:
        raise ValueError(f"expected (lowest, highest), got {value}")
    return value


def _positive(values: Numbers) -> Numbers:
    if min(values) <= 0:
        raise ValueError(f"expected numbers above 0, got {values}")
    return values


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples, at any depth; a validator that runs before pydantic's own loses the knowledge that it reads JSON."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


class PhotometricConfig(Config):
    """Colors changed at random, each by a factor drawn from 1 - x to 1 + x (the hue: turned by up to that share of the circle)."""

    shorthand: ClassVar[str | None] = "probability"
    probability: Probability = 0.5
    """How often colors are changed at all."""
    brightness: float = Field(0.125, ge=0, le=1)
    """Largest change of brightness."""
    contrast: float = Field(0.5, ge=0, le=1)
    """Largest change of contrast."""
    saturation: float = Field(0.5, ge=0, le=1)
    """Largest change of saturation."""
    hue: float = Field(0.05, ge=0, le=0.5)
    """Largest turn of the hue; .5 is half the circle."""


class RotationConfig(Config):
    """Turned by a small angle and sheared; a box becomes what bounds the ellipse in it once turned, tighter than its turned corners."""

    shorthand: ClassVar[str | None] = "probability"
    probability: Probability = 0.5
    """How often."""
    degrees: float = Field(10.0, ge=0, le=180)
    """Largest turn either way."""
    shear: float = Field(2.0, ge=0, le=45)
    """Largest shear either way, in degrees, along each axis."""


class ZoomOutConfig(Config):
    """The image laid somewhere on a larger, plain canvas (SSD, arXiv:1512.02325, section 3.6: smaller objects)."""

    shorthand: ClassVar[str | None] = "probability"
    probability: Probability = 0.5
    """How often."""
    max_scale: float = Field(4.0, ge=1)
    """The canvas is 1 to this many times as high and as wide."""
    fill: tuple[int, int, int] = (124, 116, 104)
    """The canvas's RGB; ImageNet's mean, so that it is zero to most models."""


class IoUCropConfig(Config):
    """A crop that keeps at least a drawn overlap with some object (SSD, arXiv:1512.02325, section 2.2)."""

    shorthand: ClassVar[str | None] = "probability"
    probability: Probability = 1.0
    """How often a crop is tried; one time in seven that means the whole image."""
    min_ious: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    """The IoU with some object that a crop must have is one of these; 1 means the whole image."""
    min_scale: float = Field(0.3, gt=0, le=1)
    """Least height and width of a crop, as a share of the image's."""
    aspect: tuple[float, float] = (0.5, 2.0)
    """Least and greatest width of a crop, as a share of its height."""
    trials: int = Field(40, ge=1)
    """Crops tried for one drawn overlap before another is drawn."""

    _check = field_validator("aspect")(_ordered)


class MosaicConfig(Config):
    """Four images meeting at a random point of a canvas (YOLOv4, arXiv:2004.10934; numbers of YOLOX's code)."""

    shorthand: ClassVar[str | None] = "probability"
    probability: Probability = 1.0
    """How often."""
    size: tuple[int, int] | None = None
    """The canvas, ``(height, width)``; none: the model's input size, or a square of its short side."""
    scale: Range = (0.5, 1.5)
    """Each image's size after it was fitted to the canvas, a factor drawn for the four together."""
    fill: int = Field(114, ge=0, le=255)
    """Gray of what no image covers."""

    _check = field_validator("scale")(_ordered)


class MixupConfig(Config):
    """Another image laid over this one half transparent, the objects of both kept (YOLOX, arXiv:2107.08430)."""

    shorthand: ClassVar[str | None] = "probability"
    probability: Probability = 1.0
    """How often."""
    scale: Range = (0.5, 1.5)
    """The other image's size after it was fitted to this one."""
    share: float = Field(0.5, gt=0, lt=1)
    """This image's share of the colors."""

    _check = field_validator("scale")(_ordered)


class ModelSizeConfig(Config):
    """The size at which the model sees images when it detects, times a factor."""

    kind: Literal["model"] = "model"
    factors: tuple[float, ...] = Field((1.0,), min_length=1)
    """One is drawn for each image and multiplies the short side, not the long side's limit. Models of one input size take 1 only."""

    _check = field_validator("factors")(_positive)


class ShortSideConfig(Config):
    """The short side as drawn from a list, unless the long side would grow beyond its limit (torchvision's and detectron2's way)."""

    kind: Literal["short_side"] = "short_side"
    sides: tuple[int, ...] = Field((640, 672, 704, 736, 768, 800), min_length=1)
    """Pixels of the short side; one is drawn for each image."""
    max_side: int = Field(1333, ge=1)
    """The most pixels of the long side."""

    _check = field_validator("sides")(_positive)


class JitterConfig(Config):
    """Large-scale jitter: enlarged or shrunk by a wide range, then cut or filled to one size (arXiv:2012.07177)."""

    kind: Literal["jitter"] = "jitter"
    size: tuple[int, int] | None = (1024, 1024)
    """``(height, width)`` of every image; none: the model's input size."""
    scale: Range = (0.1, 2.0)
    """Factor after the image was fitted to the size."""
    fill: int = Field(114, ge=0, le=255)
    """Gray of what the image does not cover."""

    _check = field_validator("scale")(_ordered)


class FixedSizeConfig(Config):
    """Every image in one size: stretched, or fitted and filled at the right and the bottom."""

    kind: Literal["fixed"] = "fixed"
    size: tuple[int, int] = (640, 640)
    """``(height, width)`` of every image."""
    keep_shape: bool = True
    """Fitted and filled (letterbox), or stretched."""
    fill: int = Field(114, ge=0, le=255)
    """Gray of the filling."""


class KeepSizeConfig(Config):
    """Images stay as large as they are."""

    kind: Literal["keep"] = "keep"


ResizeConfig = Annotated[
    ModelSizeConfig | ShortSideConfig | JitterConfig | FixedSizeConfig | KeepSizeConfig,
    Field(discriminator="kind"),
]

PRESETS: dict[str, dict[str, Any]] = {
    "none": {"flip": 0.0},
    "flip": {},
    "light": {
        "photometric": PhotometricConfig(brightness=0.125, contrast=0.2, saturation=0.2, hue=0.02),
        "resize": ModelSizeConfig(factors=(0.8, 0.9, 1.0, 1.1, 1.2)),
    },
    "multiscale": {"resize": ModelSizeConfig(factors=(0.8, 0.84, 0.88, 0.92, 0.96, 1.0))},
    "lsj": {"resize": JitterConfig()},
    "ssd": {"photometric": PhotometricConfig(), "zoom_out": ZoomOutConfig(), "crop": IoUCropConfig()},
    "yolox": {
        "mosaic": MosaicConfig(),
        "mixup": MixupConfig(),
        "rotation": RotationConfig(probability=1.0),
        "photometric": PhotometricConfig(probability=1.0, brightness=0.2, contrast=0.0, saturation=0.7, hue=0.015),
    },
    "micrographs": {
        "vertical_flip": 0.5,
        "quarter_turns": 0.5,
        "photometric": PhotometricConfig(brightness=0.125, contrast=0.2, saturation=0.2, hue=0.02),
        "resize": ModelSizeConfig(factors=(0.8, 0.9, 1.0, 1.1, 1.2)),
    },
}
"""What each preset sets; everything else has its default. ``multiscale`` gives detectron2's 640 to 800 to a model of 800."""


class AugmentationConfig(Config):
    """What is done to training images, in this order: mosaic, mixup, zoom out, crop, flips and turns, size, colors."""

    shorthand: ClassVar[str | None] = "preset"

    preset: Literal["none", "flip", "light", "multiscale", "lsj", "ssd", "yolox", "micrographs"] = "flip"
    """Where the numbers come from that are not given."""
    flip: Probability = 0.5
    """How often left and right are exchanged."""
    vertical_flip: Probability = 0.0
    """How often top and bottom are exchanged."""
    quarter_turns: Probability = 0.0
    """How often the image is turned by 90, 180 or 270 degrees: for images without an up, such as micrographs and aerial views."""
    rotation: RotationConfig | None = None
    """Small turns and shears."""
    photometric: PhotometricConfig | None = None
    """Changes of color."""
    zoom_out: ZoomOutConfig | None = None
    """Smaller objects on a plain canvas."""
    crop: IoUCropConfig | None = None
    """Crops round objects."""
    mosaic: MosaicConfig | None = None
    """Four images in one."""
    mixup: MixupConfig | None = None
    """Two images in one another."""
    mix_until_epoch: int | None = Field(None, ge=0)
    """From this epoch on, counted from 0, no more mosaic and mixup; YOLOX ends with 15 such epochs of 300."""
    resize: ResizeConfig = ModelSizeConfig()
    """The size of what the model sees."""
    extra: tuple[str, ...] = ()
    """Transforms of albumentations, as calls: ``GaussianBlur(blur_limit=(3, 7), p=0.2)``."""
    min_visibility: Probability = 0.1
    """Objects of which a cut leaves less than this share of the area are dropped; crowds only if nothing is left, or by a rotation."""
    min_side: float = Field(1.0, ge=0)
    """Objects with a side below this many pixels in the finished image are dropped."""

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {**PRESETS.get(str(given.get("preset", "flip")), {}), **_tuples(given)}

    @field_validator("extra")
    @classmethod
    def _split_calls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """One text a call; a command line that was split at commas is put together again."""
        text = f"({', '.join(value)},)" if value else "()"
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            raise ValueError(f"expected calls such as 'GaussianBlur(p=0.2)', got {', '.join(value)!r}") from None
        calls = tree.elts if isinstance(tree, ast.Tuple) else [tree]
        return tuple(ast.unparse(call) for call in calls)

    def replace(self, **values: Any) -> Self:
        """See :meth:`Config.replace`; another ``preset`` exchanges all numbers that are not given with it."""
        return type(self)(**values) if "preset" in values else super().replace(**values)
