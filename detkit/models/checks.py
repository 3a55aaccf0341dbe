"""Checks of the inputs of detectors."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Size, Targets


def check_images(images: Sequence[Tensor]) -> None:
    """Check the shapes and dtypes of images, but not their values, which would synchronize a GPU.

    Raises:
        TypeError: If an image does not have a floating-point dtype.
        ValueError: If there are no images, or one does not have shape ``(3, H, W)``.
    """
    if isinstance(images, Tensor) or not len(images):
        got = f"a tensor of shape {tuple(images.shape)}" if isinstance(images, Tensor) else "none"
        raise ValueError(f"expected a list of (3, H, W) images, got {got}")
    for index, image in enumerate(images):
        if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
            raise ValueError(f"image {index}: expected shape (3, H, W), got {tuple(image.shape)}")
        if not image.is_floating_point():
            raise TypeError(f"image {index}: expected floats in [0, 1], got {image.dtype}; divide 8-bit values by 255")


def check_input_size(sizes: Sequence[Size], expected: Size) -> None:
    """Check that every image has the fixed input size of a detector.

    Raises:
        ValueError: If an image has another size.
    """
    for index, size in enumerate(sizes):
        if size != expected:
            raise ValueError(
                f"image {index}: this detector takes images of {expected[0]} x {expected[1]} (height x width) only, "
                f"got {size[0]} x {size[1]}; resize them according to its preprocess config, as Predictor does"
            )


def check_proposals(proposals: Sequence[Proposals] | None, count: int) -> None:
    """Check that there are proposals for every image.

    Raises:
        ValueError: If there are none, or their number is not the number of images.
    """
    if proposals is None or len(proposals) != count:
        got = "none" if proposals is None else str(len(proposals))
        raise ValueError(f"proposals: expected proposals for {count} images, got {got}; this detector needs proposals of each image")


def check_targets(targets: Sequence[Targets], count: int, num_classes: int) -> None:
    """Check that there are targets for every image, and check their values on the CPU, where that is cheap.

    Raises:
        ValueError: If their number is not the number of images; see also :meth:`detkit.structures.Rows.checked`.
    """
    if len(targets) != count:
        raise ValueError(f"expected targets for {count} images, got {len(targets)}; an image without objects has Targets.empty()")
    for index, target in enumerate(targets):
        if target.device.type == "cpu":
            target.checked(num_classes, f"targets of image {index}")


def fixed_input_size(kind: str, preprocess: PreprocessConfig) -> Size:
    """Return the fixed input size ``(height, width)`` of a detector of this kind.

    Raises:
        ValueError: If the images can have different sizes.
    """
    if preprocess.input_size is None:
        raise ValueError(
            f"preprocess: {kind} takes images of one size; expected the rule 'fixed' or 'letterbox' with input_size=(height, width), "
            f"got the rule {preprocess.rule!r}"
        )
    return preprocess.input_size
