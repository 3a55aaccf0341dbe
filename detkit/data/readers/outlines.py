"""Outlines of objects on the way from a label file into a column: polygons as numbers, and the parts of a COCO file."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from detkit.arrays import Doubles, Flags
from detkit.data.media.exif import apply_orientation, orient_boxes
from detkit.structures import Segmentations, Size
from detkit.structures.segmentations import PolygonPoints

_NAN = float("nan")


@dataclass
class RawPolygons:
    """The polygons of each row of a label file, in its unit; a row of NaN separates two polygons of an object.

    Attributes:
        numbers: ``x y x y ...`` of all rows.
        lengths: Number of points, separators included, of each row; 0 for a row without polygons.
    """

    numbers: array[float] = field(default_factory=lambda: array("d"))
    lengths: list[int] = field(default_factory=list)

    def add(self, polygons: Sequence[Sequence[float]]) -> None:
        """Append a row with its polygons, each ``x y x y ...``."""
        before = len(self.numbers)
        for index, polygon in enumerate(polygons):
            self.numbers.extend((_NAN, _NAN) if index else ())
            self.numbers.extend(polygon)
        self.lengths.append((len(self.numbers) - before) // 2)

    def scale(self, factors: Doubles) -> None:
        """Multiply the points of each row by its ``(x, y)`` of ``factors``, ``(N, 2)``."""
        points = self._points()
        points *= np.repeat(factors, self.lengths, axis=0)

    def orient(self, rows: Flags, orientation: int, size: Size) -> None:
        """Rotate the points of some rows upright, from an image stored as ``size`` (height, width)."""
        points, selected = self._points(), np.repeat(rows, self.lengths)
        points[selected] = _oriented_points(points[selected], orientation, size)

    def segmentations(self) -> Segmentations | None:
        """Return the rows as a column; None if no row has a polygon."""
        lengths = np.array(self.lengths, np.int64)
        if not lengths.any():
            return None
        return Segmentations.of(PolygonPoints(self._points().astype(np.float32)), np.cumsum(lengths) - lengths, lengths)

    def _points(self) -> Doubles:
        """Return the points ``(M, 2)``, which share the memory of the numbers."""
        return np.frombuffer(self.numbers, np.float64).reshape(-1, 2) if len(self.numbers) else np.zeros((0, 2))


@dataclass(frozen=True)
class FileText:
    """Segmentations as text in a COCO file, which is parsed on request; a few bytes each stay in memory.

    Attributes:
        path: The file.
        stamp: Its size in bytes and its time of modification in nanoseconds when it was read.
    """

    path: str
    stamp: tuple[int, int]

    @classmethod
    def of(cls, path: str) -> FileText:
        """Return the source of a file as it is now."""
        return cls(os.path.abspath(path), _stamp(path))

    def stored(self, start: int, length: int) -> Any:
        """Return the value at a position of the file; see :class:`~detkit.structures.segmentations.SegmentationSource`.

        Raises:
            ValueError: If the file has changed since it was read, or is gone.
        """
        try:
            with open(self.path, "rb") as file:
                file.seek(start)
                text, stamp = file.read(length), _stamp(self.path)
        except OSError as error:
            raise ValueError(f"{self.path}: its segmentations cannot be read ({error.strerror or error}); was it moved?") from None
        if stamp != self.stamp:
            raise ValueError(f"{self.path}: the file has changed since its labels were read; start again with the labels as they are now")
        return from_json(text)

    def compacted(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> tuple[FileText, npt.NDArray[np.int64]]:
        """See :class:`~detkit.structures.segmentations.SegmentationSource`; there is nothing to leave out."""
        del lengths
        return self, starts

    def are_masks(self, starts: npt.NDArray[np.int64]) -> Flags:
        """See :class:`~detkit.structures.segmentations.SegmentationSource`; run lengths begin with a brace."""
        if not len(starts):
            return np.zeros(0, np.bool_)
        first: Flags = np.memmap(self.path, np.uint8, "r")[starts] == ord("{")
        return np.asarray(first)


class Stored(NamedTuple):
    """The EXIF orientation of an image, and its ``(height, width)`` before it is rotated upright."""

    orientation: int
    size: Size


def oriented(segmentations: Segmentations, images: Sequence[tuple[npt.NDArray[np.int64], Stored]]) -> Segmentations:
    """Return a column in which the rows of some images, given as indices, were rotated upright."""
    values: dict[int, Any] = {}
    for rows, stored in images:
        values |= {row: _oriented_value(segmentations.stored(row), stored.orientation, stored.size) for row in rows.tolist()}
    mask = np.zeros(len(segmentations), np.bool_)
    mask[list(values)] = True
    return segmentations.replaced(mask, Segmentations.of_values([values[row] for row in sorted(values)]))


def _oriented_value(value: Any, orientation: int, size: Size) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        points = (np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in value)
        return [_oriented_points(polygon, orientation, size).reshape(-1).tolist() for polygon in points]
    from pycocotools import mask  # imported here because few data sets have masks on images that must be rotated

    lengths = value if isinstance(value["counts"], str) else mask.frPyObjects(value, *value["size"])
    upright = apply_orientation(mask.decode(lengths)[:, :, None], orientation)[:, :, 0]
    encoded = mask.encode(np.asfortranarray(upright))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


def _oriented_points(points: Doubles, orientation: int, size: Size) -> Doubles:
    return orient_boxes(np.concatenate([points, points], axis=1), orientation, size)[:, :2]


def _stamp(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
