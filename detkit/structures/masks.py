"""Masks of objects: for each the bits of the rectangle around it, so that a mask takes as much memory as its object has pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.arrays import Flags, Floats, Size
from detkit.structures.run_lengths import coco_runs, compressed

Crop = tuple[Flags, int, int]
"""Pixels ``(h, w)`` bool of a rectangle, and the column and the row of the image at which it begins."""


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of the objects of one image, or of several; a row may have none.

    Each mask is stored for the smallest rectangle that contains it, one bit for a pixel. It follows its image when that is resized,
    cropped, flipped or warped. Nothing here needs PyTorch or OpenCV.

    Attributes:
        bits: ``(T,)`` uint8, eight pixels each, row by row; a mask begins with a new byte.
        windows: ``(N, 4)`` int32 ``x1 y1 x2 y2``, the rectangle around each mask in whole pixels; without area for an empty mask.
        starts: ``(N,)`` int64, the first byte of each mask.
        present: ``(N,)`` bool; False where nobody labeled a mask, so that nothing is known about it.
    """

    bits: NDArray[np.uint8]
    windows: NDArray[np.int32]
    starts: NDArray[np.int64]
    present: Flags

    @classmethod
    def none(cls, count: int) -> Masks:
        """Return ``count`` rows without mask."""
        return cls(np.zeros(0, np.uint8), np.zeros((count, 4), np.int32), np.zeros(count, np.int64), np.zeros(count, np.bool_))

    @classmethod
    def of(cls, crops: Sequence[Crop | None]) -> Masks:
        """Return the masks given by a rectangle each; None for a row without mask."""
        trimmed = [None if crop is None else _trimmed(*crop) for crop in crops]
        bits = [np.zeros(0, np.uint8) if crop is None else np.packbits(crop[0]) for crop in trimmed]
        lengths = np.array([len(part) for part in bits], np.int64)
        windows = [(0, 0, 0, 0) if crop is None else _window(*crop) for crop in trimmed]
        return cls(
            np.concatenate(bits) if bits else np.zeros(0, np.uint8),
            np.array(windows, np.int32).reshape(-1, 4),
            np.cumsum(lengths) - lengths,
            np.array([crop is not None for crop in trimmed], np.bool_),
        )

    @classmethod
    def of_arrays(cls, masks: Any) -> Masks:
        """Return masks given as an array ``(N, H, W)`` of the whole image; what is not 0 belongs to the object."""
        return cls.of([(np.asarray(mask, np.bool_), 0, 0) for mask in masks])

    @classmethod
    def cat(cls, parts: Sequence[Masks]) -> Masks:
        """Concatenate rows."""
        if not parts:
            return cls.none(0)
        offsets = np.cumsum([0, *(len(part.bits) for part in parts)])
        return cls(
            np.concatenate([part.bits for part in parts]),
            np.concatenate([part.windows for part in parts]),
            np.concatenate([part.starts + offset for part, offset in zip(parts, offsets, strict=False)]),
            np.concatenate([part.present for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: Any) -> Masks:
        """Return the rows that a mask, indices (NumPy arrays or tensors) or a slice select; the bits are shared."""
        index = index.cpu().numpy() if hasattr(index, "cpu") else index
        return replace(self, windows=self.windows[index], starts=self.starts[index], present=self.present[index])

    @property
    def boxes(self) -> Floats:
        """``(N, 4)`` float32 ``x1 y1 x2 y2``, the smallest box around each mask; all 0 for a row without mask."""
        return self.windows.astype(np.float32)

    @property
    def areas(self) -> NDArray[np.int64]:
        """Number of pixels of each mask, shape ``(N,)``."""
        return np.array([int(self.crop(row).sum()) for row in range(len(self))], np.int64)

    def crop(self, row: int) -> Flags:
        """Return the pixels of a mask in its window, ``(h, w)`` bool; ``(0, 0)`` for an empty mask and for none."""
        x1, y1, x2, y2 = self.windows[row].tolist()
        height, width, start = y2 - y1, x2 - x1, int(self.starts[row])
        packed = self.bits[start : start + (height * width + 7) // 8]
        return np.unpackbits(packed, count=height * width).reshape(height, width).view(np.bool_)

    def array(self, row: int, size: Size) -> Flags:
        """Return a mask as an array ``(H, W)`` bool of an image of ``size``; parts outside of the image are left out."""
        mask = np.zeros(size, np.bool_)
        x1, y1, x2, y2 = self.windows[row].tolist()
        left, top, right, bottom = max(0, x1), max(0, y1), min(size[1], x2), min(size[0], y2)
        if right > left and bottom > top:
            mask[top:bottom, left:right] = self.crop(row)[top - y1 : bottom - y1, left - x1 : right - x1]
        return mask

    def arrays(self, size: Size) -> Flags:
        """Return all masks as an array ``(N, H, W)`` bool of an image of ``size``."""
        return np.stack([self.array(row, size) for row in range(len(self))]) if len(self) else np.zeros((0, *size), np.bool_)

    def runs(self, row: int, size: Size) -> dict[str, Any] | None:
        """Return a mask as COCO's compressed run lengths, ``{"size": [H, W], "counts": "..."}``; None for a row without mask."""
        if not self.present[row]:
            return None
        x1, y1, x2, y2 = self.windows[row].tolist()
        if min(x1, y1) < 0 or x2 > size[1] or y2 > size[0]:
            return self[[row]].cropped((0, 0, size[1], size[0])).runs(0, size)
        runs = coco_runs(self.crop(row), x1, y1, size)
        return {"size": runs["size"], "counts": compressed(runs["counts"])}

    def shifted(self, x: int, y: int) -> Masks:
        """Return the masks moved by whole pixels."""
        moved = self.windows + np.array([x, y, x, y], np.int32)
        return replace(self, windows=np.where(self.present[:, None], moved, 0).astype(np.int32))

    def cropped(self, window: tuple[int, int, int, int]) -> Masks:
        """Return the parts of the masks that are in a window ``x1 y1 x2 y2`` of their image, in pixels from its corner."""
        left, top, right, bottom = window
        low, high = self.windows[:, :2], self.windows[:, 2:]
        inside = np.asarray((low >= [left, top]).all(1) & (high <= [right, bottom]).all(1))
        if bool(inside[self.present].all()):
            return self.shifted(-left, -top)

        def cut(row: int) -> Crop:
            x1, y1, x2, y2 = self.windows[row].tolist()
            x, y = max(x1, left), max(y1, top)
            return self.crop(row)[y - y1 : max(y, min(y2, bottom)) - y1, x - x1 : max(x, min(x2, right)) - x1], x - left, y - top

        return self._changed(cut)

    def resized(self, x: float, y: float) -> Masks:
        """Return the masks of an image that is ``x`` times as wide and ``y`` times as high.

        A pixel belongs to a mask if at least half of it does: interpolated bilinearly, and averaged first where the image shrinks.
        """
        if x == 1 and y == 1:
            return self

        def resize(row: int) -> Crop:
            x1, y1, x2, y2 = self.windows[row].tolist()
            top, left = _Axis.of(y1, y2, y), _Axis.of(x1, x2, x)
            pixels = left.resampled(top.resampled(self.crop(row).astype(np.float32), 0), 1)
            return pixels >= 0.5 - 1e-5, left.first, top.first

        return self._changed(resize)

    def flipped(self, width: int) -> Masks:
        """Return the masks of an image of this width that is mirrored left to right."""
        return self._changed(lambda row: (self.crop(row)[:, ::-1], width - int(self.windows[row, 2]), int(self.windows[row, 1])))

    def warped(self, columns: NDArray[np.int32], rows: NDArray[np.int32]) -> Masks:
        """Return the masks of an image whose pixels are moved in any way.

        Args:
            columns: ``(H, W)``, the column of the old image from which each pixel of the new one comes; negative: from none.
            rows: ``(H, W)``, its row.
        """
        coarse = np.ix_(*(np.arange(_STEP // 2, side, _STEP) for side in columns.shape))
        coarse_columns, coarse_rows = columns[coarse], rows[coarse]

        def warp(row: int) -> Crop:
            window = self.windows[row].tolist()
            place = _region(coarse_columns, coarse_rows, window, columns.shape)
            x, y = columns[place] - window[0], rows[place] - window[1]
            crop = np.pad(self.crop(row), 1)  # what is outside the window is outside the mask
            x, y = (np.clip(value + 1, 0, side - 1) for value, side in zip((x, y), crop.shape[::-1], strict=True))
            inside: Flags = crop[y, x] & (columns[place] >= 0)
            return inside, place[1].start, place[0].start

        return self._changed(warp)

    def _changed(self, change: Callable[[int], Crop]) -> Masks:
        return Masks.of([change(row) if present else None for row, present in enumerate(self.present.tolist())])

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the bits that the rows use, since a selection shares those of all."""
        sizes = (self.windows[:, 2:] - self.windows[:, :2]).astype(np.int64)
        lengths = (sizes.prod(1) + 7) // 8
        starts = np.cumsum(lengths) - lengths
        used = np.arange(int(lengths.sum())) + np.repeat(self.starts - starts, lengths)
        return Masks, (self.bits[used], self.windows, starts, self.present)


_STEP = 8
"""Pixels between those at which a warp is looked at first."""


def _region(columns: NDArray[np.int32], rows: NDArray[np.int32], window: list[int], size: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the part of a warped image in which a window may be, from every eighth column and row; all of it where none meets it."""
    x1, y1, x2, y2 = window
    meets = (columns >= x1 - _STEP) & (columns < x2 + _STEP) & (rows >= y1 - _STEP) & (rows < y2 + _STEP)
    spans = []
    for axis, side in enumerate(size):
        hits = np.flatnonzero(meets.any(1 - axis))
        first, last = (int(hits[0]) - 1, int(hits[-1]) + 2) if len(hits) else (0, side)
        spans.append(slice(max(0, first * _STEP), min(side, last * _STEP)))
    return spans[0], spans[1]


@dataclass(frozen=True)
class _Axis:
    """One axis of a mask that is resized.

    Attributes:
        begin: First pixel of the mask before.
        end: First pixel after it.
        scale: New pixels per pixel.
    """

    begin: int
    end: int
    scale: float

    @classmethod
    def of(cls, begin: int, end: int, scale: float) -> _Axis:
        return cls(begin, end, scale)

    @property
    def first(self) -> int:
        """The first new pixel that the mask may touch."""
        return int(np.floor(self.begin * self.scale))

    def resampled(self, values: Floats, axis: int) -> Floats:
        """Return values at the centers of the new pixels; outside of the mask they are 0."""
        last = int(np.ceil(self.end * self.scale))
        begin, scale = self.begin, self.scale
        if scale <= 0.5:
            factor = int(1 / scale)
            before, after = begin % factor, -self.end % factor
            values = np.pad(values, [(before, after) if side == axis else (0, 0) for side in range(2)])
            values = np.add.reduceat(values, np.arange(0, values.shape[axis], factor), axis).astype(np.float32) / np.float32(factor)
            begin, scale = (begin - before) // factor, scale * factor
        centers = (np.arange(self.first, last) + 0.5) / scale - 0.5 - begin + 1
        values = np.pad(values, [(1, 1) if side == axis else (0, 0) for side in range(2)])
        low = np.clip(np.floor(centers), 0, values.shape[axis] - 2).astype(np.int64)
        share = np.clip(centers - low, 0, 1).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None]
        sampled: Floats = values.take(low, axis) * (1 - share) + values.take(low + 1, axis) * share
        return sampled


def _window(pixels: Flags, x: int, y: int) -> tuple[int, int, int, int]:
    return x, y, x + pixels.shape[1], y + pixels.shape[0]


def _trimmed(pixels: Flags, x: int, y: int) -> Crop:
    """Return the smallest rectangle with all pixels of a mask."""
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not len(rows):
        return pixels[:0, :0], x, y
    top, left = int(rows[0]), int(columns[0])
    return pixels[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1], x + left, y + top
