"""Configuration of the augmentation of training images, with named presets."""

from __future__ import annotations

import ast
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from detkit.config import Config
from detkit.data.augment.schedule import changes_within
from detkit.data.augment.transforms import (
    IoUCropConfig,
    MixupConfig,
    MosaicConfig,
    PhotometricConfig,
    Probability,
    RandomTransformConfig,
    Range,
    RotationConfig,
    ZoomOutConfig,
    check_range,
)

Numbers = TypeVar("Numbers", tuple[int, ...], tuple[float, ...])


def _positive(values: Numbers) -> Numbers:
    if min(values) <= 0:
        raise ValueError(f"expected numbers above 0, got {values}")
    return values


def _tuples(value: Any) -> Any:
    """Convert lists to tuples, at any depth, since in a validator of mode "before" pydantic no longer knows that the input was JSON."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


class ModelSizeConfig(Config):
    """The model's input size for detection, times a random factor."""

    kind: Literal["model"] = "model"
    factors: tuple[float, ...] = Field((1.0,), min_length=1)
    """Factors of the short side, one drawn per image; the long side's limit does not change. Only 1 for models with a fixed input size."""

    _check = field_validator("factors")(_positive)


class ShortSideConfig(Config):
    """Short side drawn from a list, with a limit on the long side, as in torchvision and detectron2."""

    kind: Literal["short_side"] = "short_side"
    sides: tuple[int, ...] = Field((640, 672, 704, 736, 768, 800), min_length=1)
    """Lengths of the short side in pixels; one is drawn for each image."""
    max_side: int = Field(1333, ge=1)
    """Maximum length of the long side in pixels."""

    _check = field_validator("sides")(_positive)


class JitterConfig(Config):
    """Large-scale jitter: scale by a wide range, then crop or pad to one size (arXiv:2012.07177)."""

    kind: Literal["jitter"] = "jitter"
    size: tuple[int, int] | None = (1024, 1024)
    """``(height, width)`` of every image; none: the model's input size."""
    scale: Range = (0.1, 2.0)
    """Range of the scale factor applied after the image is fitted to the size."""
    fill: int = Field(114, ge=0, le=255)
    """Gray value of the padding."""

    _check = field_validator("scale")(check_range)


class FixedSizeConfig(Config):
    """Resize every image to one size: stretched, or letterboxed with padding at the right and the bottom."""

    kind: Literal["fixed"] = "fixed"
    size: tuple[int, int] = (640, 640)
    """``(height, width)`` of every image."""
    keep_shape: bool = True
    """Keep the aspect ratio and pad (letterbox); false: stretch."""
    fill: int = Field(114, ge=0, le=255)
    """Gray value of the padding."""


class KeepSizeConfig(Config):
    """Keep images at their original size."""

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
    "rtdetr": {
        "photometric": PhotometricConfig(independent=True, channel_shuffle=0.5, between=(0.0, 0.9)),
        "zoom_out": ZoomOutConfig(fill=(0, 0, 0), between=(0.0, 0.9)),
        "crop": IoUCropConfig(probability=0.8, between=(0.0, 0.9)),
    },
    "deim": {
        "photometric": PhotometricConfig(independent=True, channel_shuffle=0.5, between=(0.03, 0.9)),
        "zoom_out": ZoomOutConfig(fill=(0, 0, 0), between=(0.03, 0.9)),
        "crop": IoUCropConfig(probability=0.8, between=(0.03, 0.9)),
        "mosaic": MosaicConfig(
            probability=0.5, scale=(0.25, 0.75), fill=0, max_shift=0.2, degrees=10.0, skip_crops=True, between=(0.03, 0.48)
        ),
        "mixup": MixupConfig(probability=0.5, share_spread=0.05, after_augmentation=True, between=(0.03, 0.48)),
    },
    "micrographs": {
        "vertical_flip": 0.5,
        "quarter_turns": 0.5,
        "photometric": PhotometricConfig(brightness=0.125, contrast=0.2, saturation=0.2, hue=0.02),
        "resize": ModelSizeConfig(factors=(0.8, 0.9, 1.0, 1.1, 1.2)),
    },
}
"""Values that each preset sets; all others keep their defaults. For a model of 800, ``multiscale`` is detectron2's 640 to 800. ``rtdetr``
is the augmentation of RT-DETRv2 and D-FINE, ``deim`` DEIM's dense one-to-one recipe; theirs stop after 71 of 72 to 120 of 132 epochs."""


class AugmentationConfig(Config):
    """Augmentation of training images; applied in this order: mosaic, mixup, flips and rotations, zoom out, crop, size, colors."""

    shorthand: ClassVar[str | None] = "preset"

    preset: Literal["none", "flip", "light", "multiscale", "lsj", "ssd", "yolox", "rtdetr", "deim", "micrographs"] = "flip"
    """Preset for all values that are not set."""
    flip: Probability = 0.5
    """Probability of a horizontal flip."""
    vertical_flip: Probability = 0.0
    """Probability of a vertical flip."""
    quarter_turns: Probability = 0.0
    """Probability of a rotation by 90, 180 or 270 degrees, for images without an up direction, such as micrographs and aerial views."""
    rotation: RotationConfig | None = None
    """Small rotations and shears."""
    photometric: PhotometricConfig | None = None
    """Random color changes."""
    zoom_out: ZoomOutConfig | None = None
    """Smaller objects, by placing the image on a larger canvas."""
    crop: IoUCropConfig | None = None
    """Random crops around objects."""
    mosaic: MosaicConfig | None = None
    """Four images in one."""
    mixup: MixupConfig | None = None
    """Two images blended into one."""
    mix_until_epoch: int | None = Field(None, ge=0)
    """Epoch, counted from 0, from which mosaic and mixup are disabled; YOLOX trains the last 15 of 300 epochs without them."""
    resize: ResizeConfig = ModelSizeConfig()
    """Size of the training images."""
    extra: tuple[str, ...] = ()
    """Additional albumentations transforms, as calls: ``GaussianBlur(blur_limit=(3, 7), p=0.2)``."""
    min_visibility: Probability = 0.1
    """Objects of which a crop or a rotation leaves less than this fraction of the area are dropped; crowds only if nothing is left."""
    min_side: float = Field(1.0, ge=0)
    """Objects with a side below this many pixels in the final image are dropped, but no crowds."""

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {**PRESETS.get(str(value.get("preset", "flip")), {}), **_tuples(value)}

    @field_validator("extra")
    @classmethod
    def _split_calls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Return one string per call; a value that the command line split at commas is joined first."""
        text = f"({', '.join(value)},)" if value else "()"
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            raise ValueError(f"expected calls such as 'GaussianBlur(p=0.2)', got {', '.join(value)!r}") from None
        calls = tree.elts if isinstance(tree, ast.Tuple) else [tree]
        return tuple(ast.unparse(call) for call in calls)

    def at(self, progress: float) -> Self:
        """Return the augmentation at a fraction of the training: without the changes that are not applied then."""
        inactive = {name: None for name, transform in self._transforms().items() if not transform.is_active(progress)}
        return self.replace(**inactive) if inactive else self

    @property
    def changes(self) -> tuple[float, ...]:
        """Fractions of the training, in ascending order, at which the result of :meth:`at` changes."""
        return changes_within([transform.between for transform in self._transforms().values()])

    def describe(self) -> str:
        """Return the names of the random changes for the log."""
        return ", ".join(self._transforms()) or "no change but flips and the size"

    def _transforms(self) -> dict[str, RandomTransformConfig]:
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, RandomTransformConfig)}

    def replace(self, **values: Any) -> Self:
        """Replace values as :meth:`Config.replace`; with ``preset``, all values that are not given are reset to the preset's."""
        return type(self)(**values) if "preset" in values else super().replace(**values)
