"""What label writers read of labeled images, and such images as numpy arrays: labels are written without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from detkit.arrays import Flags, Floats, Integers, Size
from detkit.structures.segmentations import Segmentations


class LabeledImage(Protocol):
    """One image with its objects, such as a :class:`detkit.data.records.ImageRecord`."""

    @property
    def path(self) -> Path:
        """The image file."""

    @property
    def image_id(self) -> int | str:
        """Its id in the data set."""

    @property
    def size(self) -> Size:
        """``(height, width)`` in pixels."""

    @property
    def targets(self) -> Any:
        """Its objects: a :class:`detkit.structures.Targets`, or a :class:`TargetArrays`."""


class LabeledImages(Protocol):
    """The images of a data set, such as :class:`detkit.data.records.Records`."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The image files."""

    @property
    def image_ids(self) -> tuple[int | str, ...]:
        """Their ids."""

    def __iter__(self) -> Iterator[LabeledImage]:
        """Yield the images."""


class LabeledData(Protocol):
    """A labeled data set, such as :class:`detkit.data.records.DetectionData`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names by label."""

    @property
    def category_ids(self) -> tuple[int, ...]:
        """Id of each class in the data set."""

    @property
    def records(self) -> LabeledImages:
        """The images."""


@dataclass(frozen=True, eq=False)
class TargetArrays:
    """Boxes with labels, with the columns of :class:`detkit.structures.Targets` that follow from them.

    Attributes:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        labels: ``(N,)`` int64.
        segmentations: Outlines of the objects; None if they have none.
        mask_areas: ``(N,)`` their areas in square pixels, 0 for an object without outline.
    """

    boxes: Floats
    labels: Integers
    segmentations: Segmentations | None = None
    mask_areas: Floats | None = None

    @property
    def areas(self) -> Floats:
        """``(N,)`` areas of the masks in square pixels, or of the boxes for objects without."""
        width, height = (self.boxes[:, 2:] - self.boxes[:, :2]).T
        areas: Floats = width * height
        return areas if self.mask_areas is None else np.where(self.mask_areas > 0, self.mask_areas, areas)

    @property
    def is_crowd(self) -> Flags:
        """``(N,)`` False."""
        return np.zeros(len(self.boxes), np.bool_)

    @property
    def is_difficult(self) -> Flags:
        """``(N,)`` False."""
        return np.zeros(len(self.boxes), np.bool_)


@dataclass(frozen=True, eq=False)
class ArrayImage:
    """An image with its objects as arrays; see :class:`LabeledImage`."""

    path: Path
    image_id: int | str
    size: Size
    targets: TargetArrays


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images in a list; see :class:`LabeledImages`."""

    images: Sequence[ArrayImage]

    @property
    def paths(self) -> tuple[str, ...]:
        """The image files."""
        return tuple(str(image.path) for image in self.images)

    @property
    def image_ids(self) -> tuple[int | str, ...]:
        """Their ids."""
        return tuple(image.image_id for image in self.images)

    def __iter__(self) -> Iterator[ArrayImage]:
        return iter(self.images)


@dataclass(frozen=True, eq=False)
class ArrayData:
    """A data set whose category ids count from 1; see :class:`LabeledData`."""

    class_names: tuple[str, ...]
    records: ArrayImages

    @property
    def category_ids(self) -> tuple[int, ...]:
        """Id of each class."""
        return tuple(range(1, len(self.class_names) + 1))
