"""The one door to albumentations: its transforms, applied to a image and to all rows about it."""

from __future__ import annotations

import ast
import inspect
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detkit.data.augment.annotated_image import AnnotatedImage, R, box_areas, with_share
from detkit.data.augment.config import AugmentationConfig
from detkit.registry import did_you_mean
from detkit.structures import Rows

Call = tuple[str, dict[str, Any]]
"""A transform's name and its arguments."""


_CUT_NOTHING = {"HorizontalFlip", "VerticalFlip", "RandomRotate90"}


class LibrarySteps:
    """Some of albumentations' transforms in a row.

    Args:
        calls: Names and arguments.
        min_visibility: Rows of which a transform leaves less than this share of the area are dropped.

    Raises:
        ValueError: albumentations has no such transform, or the transform no such argument or value.
    """

    def __init__(self, calls: Sequence[Call], min_visibility: float = 0.0) -> None:
        self.calls, self.min_visibility = tuple(calls), min_visibility
        self._made: Any = None
        self._compose()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}  # a worker process that is started afresh makes its own

    def __call__(self, image: AnnotatedImage, random_numbers: np.random.Generator) -> AnnotatedImage:
        """The image after the transforms; rows that are outside it are gone."""
        if not self.calls:
            return image
        compose = self._compose()
        # Compose.set_random_seed gives every transform the same numbers, and flips along both axes come together or not at all.
        compose.set_random_state(random_numbers, random.Random(int(random_numbers.integers(2**62))))
        if not self._moves():
            return replace(image, image=compose(image=image.image)["image"])
        tables: list[Rows] = [image.targets] if image.proposals is None else [image.targets, image.proposals]
        boxes = torch.cat([rows.boxes for rows in tables])
        made = compose(image=image.image, bboxes=boxes.numpy(), rows=np.arange(len(boxes)))
        places = torch.from_numpy(np.asarray(made["rows"]).astype(np.int64).reshape(-1))  # they come back as floats, or as an empty list
        new = torch.from_numpy(np.asarray(made["bboxes"], dtype=np.float32).reshape(-1, 4))
        parts, start = [], 0
        for rows in tables:
            chosen = (places >= start) & (places < start + len(rows))
            parts.append(_changed(rows[places[chosen] - start], new[chosen]))
            start += len(rows)
        moved = dict(zip(("targets", "proposals"), parts, strict=False))
        return replace(image, image=np.ascontiguousarray(made["image"]), **moved)  # type: ignore[arg-type]

    def _moves(self) -> bool:
        return any(moves_boxes(name) for name, _ in self.calls)

    def _compose(self) -> Any:
        if self._made is None and self.calls:
            library = _library()
            boxes = library.BboxParams(
                "pascal_voc",
                label_fields=["rows"],
                clip=True,
                filter_invalid_bboxes=True,
                min_visibility=self.min_visibility,
                # Once at the end will do, and takes less time, unless one transform cuts and the next one adds room again.
                check_each_transform=any(name not in _CUT_NOTHING for name, _ in self.calls),
            )
            steps = [_transform(name, arguments) for name, arguments in self.calls]
            self._made = library.Compose(steps, bbox_params=boxes if self._moves() else None)
        return self._made


def geometry_calls(config: AugmentationConfig) -> list[Call]:
    """The transforms that move boxes, other than crops and sizes."""
    calls: list[Call] = []
    rotation = config.rotation
    if config.flip:
        calls.append(("HorizontalFlip", {"p": config.flip}))
    if config.vertical_flip:
        calls.append(("VerticalFlip", {"p": config.vertical_flip}))
    if config.quarter_turns:
        calls.append(("RandomRotate90", {"p": config.quarter_turns}))
    if rotation is not None and rotation.probability:
        ranges = {"rotate": (-rotation.degrees, rotation.degrees), "shear": (-rotation.shear, rotation.shear)}
        calls.append(("Affine", {**ranges, "rotate_method": "ellipse", "fill": 114, "p": rotation.probability}))
    return calls + [call for call in extra_calls(config) if moves_boxes(call[0])]


def color_calls(config: AugmentationConfig) -> list[Call]:
    """The transforms that leave boxes where they are."""
    calls: list[Call] = []
    color_spaces = config.photometric
    if color_spaces is not None and color_spaces.probability:
        changes = {name: getattr(color_spaces, name) for name in ("brightness", "contrast", "saturation", "hue")}
        calls.append(("ColorJitter", {**changes, "p": color_spaces.probability}))
    return calls + [call for call in extra_calls(config) if not moves_boxes(call[0])]


def extra_calls(config: AugmentationConfig) -> list[Call]:
    """The calls that a config writes out, read without executing them.

    Raises:
        ValueError: one is not a plain call with literal keyword arguments.
    """
    return [_read_call(text) for text in config.extra]


def moves_boxes(name: str) -> bool:
    """Whether a transform changes places and not only colors.

    Raises:
        ValueError: albumentations has no such transform for images.
    """
    library = _library()
    found = getattr(library, name, None)
    if not (inspect.isclass(found) and issubclass(found, library.BasicTransform)):
        known = [n for n, c in vars(library).items() if inspect.isclass(c) and issubclass(c, library.BasicTransform)]
        raise ValueError(f"augmentation.extra: albumentations has no transform {name!r}: {did_you_mean(name, known)}")
    return not issubclass(found, library.ImageOnlyTransform)


def _library() -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks PyPI for a newer release when it is imported
    import albumentations

    return albumentations


def _transform(name: str, arguments: dict[str, Any]) -> Any:
    """A transform, after its arguments were checked: the library only warns of those it does not know."""
    moves_boxes(name)
    made = getattr(_library(), name)
    known = [p for p in inspect.signature(made.__init__).parameters if p != "self"]
    for argument in arguments:
        if argument not in known:
            raise ValueError(f"augmentation.extra: {name} has no argument {argument!r}: {did_you_mean(argument, known)}")
    try:
        return made(**arguments)
    except (TypeError, ValueError) as error:
        said = " ".join(str(error).split("For further information")[0].split())
        raise ValueError(f"augmentation.extra: {name} cannot be made with {arguments}: {said}") from None


def _read_call(text: str) -> Call:
    call = ast.parse(text, mode="eval").body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args and all(k.arg for k in call.keywords)):
        raise ValueError(f"augmentation.extra: expected a call with named arguments such as 'GaussianBlur(p=0.2)', got {text!r}")
    try:
        return call.func.id, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        raise ValueError(f"augmentation.extra: expected plain numbers, texts and tuples as arguments, got {text!r}") from None


def _changed(rows: R, boxes: Tensor) -> R:
    share = box_areas(boxes) / box_areas(rows.boxes).clamp(min=1e-9)
    return with_share(rows.replace(boxes=boxes), share)
