"""The only interface to albumentations: its transforms, applied to an image and all its rows."""

from __future__ import annotations

import ast
import copy
import inspect
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.data.augment.annotated_image import AnnotatedImage, R
from detkit.data.augment.config import AugmentationConfig
from detkit.ops.windows import kept_fraction
from detkit.registry import did_you_mean
from detkit.structures import Size, Targets

Call = tuple[str, dict[str, Any]]
"""A transform's name and its arguments."""


_NEVER_CROP = {"HorizontalFlip", "VerticalFlip", "RandomRotate90"}


class LibraryTransforms:
    """A sequence of albumentations transforms.

    Args:
        calls: Names and arguments.
        min_visibility: Rows of which a transform leaves less than this fraction of the area are dropped; crowds only if nothing is left.

    Raises:
        ValueError: If albumentations has no such transform, or the transform no such argument or value.
    """

    def __init__(self, calls: Sequence[Call], min_visibility: float = 0.0) -> None:
        self.calls, self.min_visibility = tuple(calls), min_visibility
        self._composed: dict[float, Any] = {}
        self._compose(min_visibility)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_composed": {}}  # a spawned worker process composes its own

    def __call__(self, image: AnnotatedImage, random_numbers: np.random.Generator) -> AnnotatedImage:
        """Return the image after the transforms; rows outside it are dropped."""
        if not self.calls:
            return image
        compose, seed = self._compose(self.min_visibility), int(random_numbers.integers(2**62))
        # Compose.set_random_seed would give every transform the same numbers, so that flips along both axes always coincide.
        if not self._any_moves_boxes():
            compose.set_random_state(random_numbers, random.Random(seed))
            return replace(image, image=compose(image=image.image)["image"])
        targets, proposals = image.targets, image.proposals
        boxes = targets.boxes if proposals is None else torch.cat([targets.boxes, proposals.boxes])
        crowds = self._crowds(image, copy.deepcopy(random_numbers), seed)  # before the generator is used
        compose.set_random_state(random_numbers, random.Random(seed))
        origins = {} if targets.masks is None else {"mask": _origins(image.size)}
        result = compose(image=image.image, bboxes=boxes.numpy(), rows=np.arange(len(boxes)), **origins)
        indices, new_boxes = _rows_of(result)
        first = indices < len(targets)
        targets = _moved(targets, indices[first], new_boxes[first])
        if crowds is not None:
            rows = torch.cat((indices[first][~targets.is_crowd], crowds[0]))
            targets = Targets.cat([targets[~targets.is_crowd], crowds[1]])[rows.argsort()]
        if origins:
            columns, rows_of_old = np.moveaxis(np.asarray(result["mask"]).astype(np.int32) - 1, 2, 0)
            targets = targets.with_masks(lambda masks: masks.warped(columns, rows_of_old))
        proposals = None if proposals is None else _moved(proposals, indices[~first] - len(image.targets), new_boxes[~first])
        return replace(image, image=np.ascontiguousarray(result["image"]), targets=targets, proposals=proposals)

    def _crowds(self, image: AnnotatedImage, random_numbers: np.random.Generator, seed: int) -> tuple[Tensor, Targets] | None:
        """Return the crowds after the same random transforms, however little of them is left, and their rows; None if there are none."""
        crowds = image.targets.is_crowd.nonzero().flatten()
        if not len(crowds) or not self.min_visibility:
            return None
        compose = self._compose(0.0)
        compose.set_random_state(random_numbers, random.Random(seed))
        boxes = image.targets.boxes[crowds].numpy()
        indices, new_boxes = _rows_of(compose(image=image.image, bboxes=boxes, rows=np.arange(len(boxes))))
        return crowds[indices], _moved(image.targets, crowds[indices], new_boxes)

    def _any_moves_boxes(self) -> bool:
        return any(moves_boxes(name) for name, _ in self.calls)

    def _compose(self, min_visibility: float) -> Any:
        if min_visibility not in self._composed and self.calls:
            library = _library()
            boxes = library.BboxParams(
                "pascal_voc",
                label_fields=["rows"],
                clip=True,
                filter_invalid_bboxes=True,
                min_visibility=min_visibility,
                # Checking once at the end is enough and faster, unless one transform crops and the next one adds a margin again.
                check_each_transform=any(name not in _NEVER_CROP for name, _ in self.calls),
            )
            transforms = [_transform(name, arguments) for name, arguments in self.calls]
            self._composed[min_visibility] = library.Compose(transforms, bbox_params=boxes if self._any_moves_boxes() else None)
        return self._composed.get(min_visibility)


def geometry_calls(config: AugmentationConfig) -> list[Call]:
    """Return the transforms that move boxes, except crops and resizing."""
    calls: list[Call] = []
    rotation = config.rotation
    if config.flip:
        calls.append(("HorizontalFlip", {"p": config.flip}))
    if config.vertical_flip:
        calls.append(("VerticalFlip", {"p": config.vertical_flip}))
    if config.quarter_turns:
        calls.append(("RandomRotate90", {"p": config.quarter_turns}))
    if rotation is not None and rotation.probability:
        calls.append(_rotation_call(rotation.degrees, rotation.shear, 114, rotation.probability))
    return calls + [call for call in extra_calls(config) if moves_boxes(call[0])]


def mosaic_calls(config: AugmentationConfig) -> list[Call]:
    """Return the transforms that are applied only to mosaics."""
    mosaic = config.mosaic
    return [] if mosaic is None or not mosaic.degrees else [_rotation_call(mosaic.degrees, 0.0, mosaic.fill, 1.0)]


def color_calls(config: AugmentationConfig) -> list[Call]:
    """Return the transforms that do not move boxes."""
    calls: list[Call] = []
    photometric = config.photometric
    if photometric is not None and photometric.probability:
        changes = {name: getattr(photometric, name) for name in ("brightness", "contrast", "saturation", "hue")}
        no_change = dict.fromkeys(changes, 0.0)
        separate = [{**no_change, name: value} for name, value in changes.items() if value]
        calls += [
            ("ColorJitter", {**values, "p": photometric.probability}) for values in (separate if photometric.independent else [changes])
        ]
    if photometric is not None and photometric.channel_shuffle:
        calls.append(("ChannelShuffle", {"p": photometric.channel_shuffle}))
    return calls + [call for call in extra_calls(config) if not moves_boxes(call[0])]


def _rotation_call(degrees: float, shear: float, fill: int, probability: float) -> Call:
    ranges = {"rotate": (-degrees, degrees), "shear": (-shear, shear)}
    return "Affine", {**ranges, "rotate_method": "ellipse", "fill": fill, "p": probability}


def extra_calls(config: AugmentationConfig) -> list[Call]:
    """Parse the calls in a config without executing them.

    Raises:
        ValueError: If one is not a plain call with literal keyword arguments.
    """
    return [_parse_call(text) for text in config.extra]


def moves_boxes(name: str) -> bool:
    """Return whether a transform changes positions and not only colors.

    Raises:
        ValueError: If albumentations has no such transform for images.
    """
    library = _library()
    transform = getattr(library, name, None)
    if not (inspect.isclass(transform) and issubclass(transform, library.BasicTransform)):
        known = [n for n, c in vars(library).items() if inspect.isclass(c) and issubclass(c, library.BasicTransform)]
        raise ValueError(f"augmentation.extra: albumentations has no transform {name!r}: {did_you_mean(name, known)}")
    return not issubclass(transform, library.ImageOnlyTransform)


def _library() -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else it asks PyPI for a newer release when it is imported
    import albumentations

    return albumentations


def _transform(name: str, arguments: dict[str, Any]) -> Any:
    """Construct a transform after checking its arguments; the library only warns about unknown ones."""
    moves_boxes(name)
    transform = getattr(_library(), name)
    known = [p for p in inspect.signature(transform.__init__).parameters if p != "self"]
    for argument in arguments:
        if argument not in known:
            raise ValueError(f"augmentation.extra: {name} has no argument {argument!r}: {did_you_mean(argument, known)}")
    try:
        return transform(**arguments)
    except (TypeError, ValueError) as error:
        message = " ".join(str(error).split("For further information")[0].split())
        raise ValueError(f"augmentation.extra: {name} cannot be constructed with {arguments}: {message}") from None


def _parse_call(text: str) -> Call:
    call = ast.parse(text, mode="eval").body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args and all(k.arg for k in call.keywords)):
        raise ValueError(f"augmentation.extra: expected a call with named arguments such as 'GaussianBlur(p=0.2)', got {text!r}")
    try:
        return call.func.id, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        raise ValueError(f"augmentation.extra: expected plain numbers, strings and tuples as arguments, got {text!r}") from None


def _origins(size: Size) -> NDArray[np.float32]:
    """Return the column and the row of each pixel, counted from 1, ``(H, W, 2)``; after a transform, 0 where no pixel comes from."""
    rows, columns = np.mgrid[1 : size[0] + 1, 1 : size[1] + 1].astype(np.float32)
    return np.stack([columns, rows], 2)


def _rows_of(result: Any) -> tuple[Tensor, Tensor]:
    """Return the indices and the boxes of the rows that a result still has."""
    indices = torch.from_numpy(np.asarray(result["rows"]).astype(np.int64).reshape(-1))  # returned as floats, or as an empty list
    return indices, torch.from_numpy(np.asarray(result["bboxes"], dtype=np.float32).reshape(-1, 4))


def _moved(rows: R, indices: Tensor, boxes: Tensor) -> R:
    """Return the rows that are left, with their new boxes."""
    left = rows[indices]
    return left.moved(boxes, kept_fraction(left.boxes, boxes))
