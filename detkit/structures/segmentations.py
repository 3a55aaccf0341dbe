"""Outlines and masks of objects as their label files state them, kept compactly and parsed when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Polygons = tuple[NDArray[np.float32], ...]
"""The outlines of one object, each ``(P, 2)`` float32 ``x y`` in pixels of the upright image."""

_NONE = -1


class SegmentationSource(Protocol):
    """Where segmentations are kept; each is the range of ``length`` items from ``start``."""

    def stored(self, start: int, length: int) -> Any:
        """Return a segmentation in COCO's form: a list of lists ``x y x y ...``, or a dictionary with run lengths."""
        ...

    def compacted(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[SegmentationSource, NDArray[np.int64]]:
        """Return a source with only the given ranges, and their new starts, for sending to another process."""
        ...

    def are_masks(self, starts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return, for the segmentations that begin at ``starts``, which are run lengths, shape ``(N,)``."""
        ...


@dataclass(frozen=True, eq=False)
class PolygonPoints:
    """Polygons in memory.

    Attributes:
        points: ``(M, 2)`` float32 ``x y``, with a row of NaN between two polygons of an object.
    """

    points: NDArray[np.float32]

    def stored(self, start: int, length: int) -> list[list[float]]:
        """See :class:`SegmentationSource`; numbers have as few digits as their float32 needs."""
        points = self.points[start : start + length]
        breaks = np.flatnonzero(np.isnan(points[:, 0]))
        parts = np.split(points, breaks)
        return [[float(str(value)) for value in part[int(bool(index)) :].reshape(-1)] for index, part in enumerate(parts)]

    def compacted(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[PolygonPoints, NDArray[np.int64]]:
        """See :class:`SegmentationSource`."""
        new_starts = np.cumsum(lengths) - lengths
        rows = np.arange(int(lengths.sum())) + np.repeat(starts - new_starts, lengths)
        return PolygonPoints(self.points[rows]), new_starts

    def are_masks(self, starts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """See :class:`SegmentationSource`."""
        return np.zeros(len(starts), np.bool_)


@dataclass(frozen=True, eq=False)
class ParsedValues:
    """Segmentations in COCO's form in memory, one item each; for the few that cannot stay in their file.

    A value can be a function that reads run lengths from a file of their own when they are asked for.
    """

    values: tuple[Any, ...]

    def stored(self, start: int, length: int) -> Any:
        """See :class:`SegmentationSource`."""
        del length
        value = self.values[start]
        return value() if callable(value) else value

    def compacted(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[ParsedValues, NDArray[np.int64]]:
        """See :class:`SegmentationSource`."""
        del lengths
        return ParsedValues(tuple(self.values[start] for start in starts.tolist())), np.arange(len(starts))

    def are_masks(self, starts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """See :class:`SegmentationSource`."""
        return np.array([not isinstance(self.values[start], list) for start in starts.tolist()], np.bool_)


@dataclass(frozen=True, eq=False)
class Segmentations:
    """The segmentation of each row, or none.

    Transforms of images select from them and do not move them: a segmentation stays in pixels of the labeled image.

    Attributes:
        sources: Where they are kept.
        source: ``(N,)`` int16 index in ``sources``; -1 for a row without segmentation.
        starts: ``(N,)`` int64 first item in the source.
        lengths: ``(N,)`` int32 number of items.
    """

    sources: tuple[SegmentationSource, ...]
    source: NDArray[np.int16]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]

    @classmethod
    def none(cls, count: int) -> Segmentations:
        """Return ``count`` rows without segmentation."""
        return cls((), np.full(count, _NONE, np.int16), np.zeros(count, np.int64), np.zeros(count, np.int32))

    @classmethod
    def of(cls, source: SegmentationSource, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Segmentations:
        """Return rows of one source; a length of 0 means that a row has no segmentation."""
        return cls((source,), np.where(lengths > 0, 0, _NONE).astype(np.int16), starts, lengths.astype(np.int32))

    @classmethod
    def of_polygons(cls, rows: Sequence[Sequence[Any]]) -> Segmentations:
        """Return the polygons of each row, each ``(P, 2)``; a row without any has no segmentation."""
        gap = np.full((1, 2), np.nan, np.float32)
        points = [np.concatenate([part for polygon in row for part in (gap, np.asarray(polygon, np.float32))][1:]) for row in rows if row]
        lengths = np.array([sum(map(len, row)) + max(0, len(row) - 1) for row in rows], np.int64)
        source = PolygonPoints(np.concatenate(points) if points else np.zeros((0, 2), np.float32))
        return cls.of(source, np.cumsum(lengths) - lengths, lengths)

    @classmethod
    def of_values(cls, values: Sequence[Any]) -> Segmentations:
        """Return segmentations in COCO's form, None for a row without any."""
        given = tuple(value for value in values if value is not None)
        lengths = np.array([value is not None for value in values], np.int64)
        return cls.of(ParsedValues(given), np.cumsum(lengths) - lengths, lengths)

    @classmethod
    def cat(cls, parts: Sequence[Segmentations]) -> Segmentations:
        """Concatenate rows, whose sources are shared where they are the same object."""
        sources: list[SegmentationSource] = []
        indices = []
        for part in parts:
            table = [_index_of(source, sources) for source in part.sources]
            indices.append(np.array([*table, _NONE], np.int16)[part.source])
        if not parts:
            return cls.none(0)
        starts, lengths = np.concatenate([part.starts for part in parts]), np.concatenate([part.lengths for part in parts])
        return cls(tuple(sources), np.concatenate(indices), starts, lengths)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: Any) -> Segmentations:
        """Return the rows that a mask, indices (NumPy arrays or tensors) or a slice select."""
        index = index.cpu().numpy() if hasattr(index, "cpu") else index
        return Segmentations(self.sources, self.source[index], self.starts[index], self.lengths[index])

    @property
    def present(self) -> NDArray[np.bool_]:
        """``(N,)`` bool: whether a row has a segmentation."""
        return np.not_equal(self.source, _NONE)

    @property
    def is_mask(self) -> NDArray[np.bool_]:
        """``(N,)`` bool: whether a row has run lengths, which are not parsed for it.

        Raises:
            OSError: If the label file is gone.
        """
        masks = np.zeros(len(self), np.bool_)
        for number, source in enumerate(self.sources):
            rows = self.source == number
            masks[rows] = source.are_masks(self.starts[rows])
        return masks

    def stored(self, row: int) -> Any:
        """Return the segmentation of a row in COCO's form, as its label file states it; None if it has none.

        Raises:
            ValueError: If the label file has changed since it was read.
        """
        index = int(self.source[row])
        return None if index == _NONE else self.sources[index].stored(int(self.starts[row]), int(self.lengths[row]))

    def polygons(self, row: int) -> Polygons | None:
        """Return the polygons of a row; None if it has none, or run lengths instead.

        Raises:
            ValueError: If the label file has changed since it was read.
        """
        value = self.stored(row)
        if not isinstance(value, list):
            return None
        try:
            return tuple(np.asarray(part, np.float32).reshape(-1, 2) for part in value)
        except (TypeError, ValueError):
            raise ValueError(f"polygons of a mask: expected numbers x, y, x, y, ..., got {str(value)[:80]}") from None

    def replaced(self, mask: NDArray[np.bool_], values: Segmentations) -> Segmentations:
        """Return a copy in which the rows of a mask have other segmentations, in their order."""
        rows = np.arange(len(self))
        order = np.where(mask, len(self) + np.cumsum(mask) - 1, rows)
        return Segmentations.cat([self, values])[order]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only what the rows use, since a batch has few of a data set's segmentations."""
        sources: list[SegmentationSource] = []
        index, starts = np.full(len(self), _NONE, np.int16), np.zeros(len(self), np.int64)
        for number, source in enumerate(self.sources):
            rows = np.flatnonzero(self.source == number)
            if len(rows):
                compact, starts[rows] = source.compacted(self.starts[rows], self.lengths[rows].astype(np.int64))
                index[rows] = len(sources)
                sources.append(compact)
        return Segmentations, (tuple(sources), index, starts, self.lengths)


def _index_of(source: SegmentationSource, sources: list[SegmentationSource]) -> int:
    """Return the index of a source in a list, to which it is appended if it is new."""
    for index, known in enumerate(sources):
        if known is source:
            return index
    sources.append(source)
    return len(sources) - 1
