"""Run lengths of masks in COCO's form: down the columns, alternating between outside and inside, the first run outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.arrays import Flags, Size


def coco_runs(crop: Flags, left: int, top: int, size: Size) -> dict[str, Any]:
    """Return a mask that is given by a rectangle of its image, as COCO's run lengths.

    Args:
        crop: ``(h, w)`` bool.
        left: Column of the image at which the rectangle begins.
        top: Row of the image at which it begins.
        size: ``(height, width)`` of the image, in which the rectangle is.
    """
    height, width = size
    columns, rows = np.nonzero(crop.T)
    inside = (columns + left) * height + rows + top
    breaks = np.flatnonzero(np.diff(inside) != 1) + 1
    starts = inside[np.concatenate([np.zeros(min(1, len(inside)), np.int64), breaks])]
    ends = inside[np.concatenate([breaks - 1, np.full(min(1, len(inside)), len(inside) - 1)]).astype(np.int64)] + 1
    edges = np.stack([starts, ends], 1).reshape(-1)
    counts = np.diff(edges, prepend=0, append=height * width).tolist()
    return {"size": [height, width], "counts": counts if counts[-1] or len(counts) == 1 else counts[:-1]}


def mask_array(mask: dict[str, Any]) -> Flags:
    """Return a mask, given as run lengths in COCO's form, as an array ``(H, W)``.

    The lengths are numbers, or compressed to text. They are decoded here because detectors without PyTorch do without pycocotools.

    Raises:
        ValueError: If it is no such mask, or its runs are of fewer or more pixels than its size has.
    """
    try:
        height, width = (int(side) for side in mask["size"])
        counts = mask["counts"] if isinstance(mask["counts"], list) else decompressed(mask["counts"])
        lengths = np.array(counts, np.int64)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise ValueError(f'expected run lengths {{"size": [height, width], "counts": ...}}, got {str(mask)[:80]}') from None
    pixels = int(np.minimum(lengths, height * width + 1).sum()) if lengths.ndim == 1 and (lengths >= 0).all() else -1
    if pixels != height * width or height < 0 or width < 0:
        raise ValueError(f"expected run lengths of {height} x {width} pixels, one after the other, got {str(counts)[:80]}")
    inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.asarray(inside.reshape(width, height).T)


def compressed(counts: Sequence[int]) -> str:
    """Return run lengths as text: groups of five bits, low ones first, of differences to the length before the last one.

    Source: ``rleToString`` in cocoapi's ``maskApi.c``.
    """
    characters: list[str] = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != -1 if bits & 16 else value != 0
            characters.append(chr(48 + (bits | 32 if more else bits)))
    return "".join(characters)


def decompressed(text: str | bytes) -> list[int]:
    """Return run lengths from their text, the inverse of :func:`compressed`.

    Source: ``rleFrString`` in cocoapi's ``maskApi.c``.
    """
    codes = np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8).astype(np.int64) - 48
    lengths: list[int] = decoded_lengths(codes).tolist()
    return lengths


def decoded_lengths(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return run lengths from the numbers of their characters, counted from 48, without a loop over them.

    A last length that does not end is left out.
    """
    ends = np.flatnonzero((codes & 32) == 0)
    if not len(ends):
        return np.zeros(0, np.int64)
    codes = codes[: ends[-1] + 1]
    starts = np.concatenate([[0], ends[:-1] + 1])
    digits = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((codes & 31) << np.minimum(5 * digits, 58), starts)
    values -= np.where(codes[ends] & 16, np.int64(1) << np.minimum(5 * (ends - starts + 1), 58), 0)
    for first in (1, 2):  # differences to the length before the last one, but for the first three
        values[first::2] = np.cumsum(values[first::2])
    return values
