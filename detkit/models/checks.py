"""What a person can get wrong at a detector's door, said in words."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Size, Targets


def check_images(images: Sequence[Tensor]) -> None:
    """Check shapes and dtypes; values are not looked at, which would synchronize a GPU.

    Raises:
        TypeError: images are not floats.
        ValueError: there are none, or one is not ``(3, H, W)``.
    """
    if isinstance(images, Tensor) or not len(images):
        got = f"a tensor of shape {tuple(images.shape)}" if isinstance(images, Tensor) else "none"
        raise ValueError(f"expected a list of (3, H, W) images, got {got}")
    for place, image in enumerate(images):
        if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
            raise ValueError(f"image {place}: expected shape (3, H, W), got {tuple(image.shape)}")
        if not image.is_floating_point():
            raise TypeError(f"image {place}: expected floats in [0, 1], got {image.dtype}; divide 8-bit values by 255")


def check_input_size(sizes: Sequence[Size], wanted: Size) -> None:
    """Check that every image has the only size that a detector takes.

    Raises:
        ValueError: one has another.
    """
    for place, size in enumerate(sizes):
        if size != wanted:
            raise ValueError(
                f"image {place}: this detector takes images of {wanted[0]} x {wanted[1]} (height x width) alone, "
                f"got {size[0]} x {size[1]}; resize them as its preprocess config says (a Predictor does)"
            )


def check_proposals(proposals: Sequence[Proposals] | None, count: int) -> None:
    """Check that there are proposals for every image.

    Raises:
        ValueError: there are not.
    """
    if proposals is None or len(proposals) != count:
        got = "none" if proposals is None else str(len(proposals))
        raise ValueError(f"this detector is told where to look: expected proposals for {count} images, got {got}")


def check_targets(targets: Sequence[Targets], count: int, num_classes: int) -> None:
    """Check that there are targets for every image, and their values where that costs nothing (on the CPU).

    Raises:
        ValueError: see :meth:`detkit.structures.Rows.checked`.
    """
    if len(targets) != count:
        raise ValueError(f"expected targets for {count} images, got {len(targets)}; an image without objects has Targets.empty()")
    for place, target in enumerate(targets):
        if target.device.type == "cpu":
            target.checked(num_classes, f"targets of image {place}")


def fixed_input_size(kind: str, preprocess: PreprocessConfig) -> Size:
    """The one ``(height, width)`` of the images that a detector of this kind sees.

    Raises:
        ValueError: images would come in several sizes.
    """
    if preprocess.input_size is None:
        raise ValueError(
            f"preprocess: {kind} takes images of one size; expected the rule 'fixed' or 'letterbox' with input_size=(height, width), "
            f"got the rule {preprocess.rule!r}"
        )
    return preprocess.input_size
