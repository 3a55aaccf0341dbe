"""Masks of COCO files as compressed run lengths: checked, and rasterized by pycocotools, so that numbers are comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detkit.arrays import Size
from detkit.structures.masks import Masks
from detkit.structures.run_lengths import decoded_lengths

Runs = dict[str, Any]
"""Run lengths in COCO's form: ``{"size": [height, width], "counts": "..."}``."""

Segmentation = Runs | list[NDArray[np.float64]]
"""A checked segmentation: run lengths, or polygons ``x y x y ...``."""

_EXPECTED = 'polygons [[x, y, x, y, x, y, ...], ...], or run lengths {"size": [height, width], "counts": ...}'


@dataclass(frozen=True, slots=True)
class TruthMask:
    """The mask of a labeled object.

    Attributes:
        runs: Its pixels.
        area: The published area of the object, which decides whether it is small, medium or large; else the number of pixels.
    """

    runs: Runs
    area: float


def read_segmentation(value: Any, where: str) -> Segmentation | None:
    """Check a segmentation; None if it is missing or has no polygon of three points.

    Raises:
        ValueError: If it is something else; the message starts with ``where``.
    """
    if value is None or (isinstance(value, (list, str)) and not value):
        return None
    if isinstance(value, Mapping):
        return _checked_runs(value, where)
    try:
        polygons = [np.asarray(part, np.float64) for part in value]
        if not all(polygon.ndim == 1 and len(polygon) % 2 == 0 and np.isfinite(polygon).all() for polygon in polygons):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(f"{where}: expected {_EXPECTED}, got {str(value)[:60]}") from None
    return [polygon for polygon in polygons if len(polygon) >= 6] or None


def mask_runs(segmentation: Segmentation, size: Size, where: str) -> Runs:
    """Return a checked segmentation as compressed run lengths of an image of ``size``.

    Raises:
        ValueError: If it is of an image of another size; the message starts with ``where``.
    """
    if isinstance(segmentation, dict):
        if tuple(segmentation["size"]) != tuple(size):
            expected, got = (f"{width} x {height}" for height, width in (size, segmentation["size"]))
            raise ValueError(f"{where}: expected run lengths of an image of {expected} pixels (width x height), got {got}")
        if isinstance(segmentation["counts"], str):
            return segmentation
        return _text(coco_mask.frPyObjects(segmentation, *size))
    return _text(coco_mask.merge(coco_mask.frPyObjects(segmentation, *size)))


def image_size(sizes: Mapping[int, Size], image_id: int, name: str) -> Size:
    """Return the size of an image.

    Raises:
        ValueError: If it is unknown.
    """
    if image_id not in sizes:
        raise ValueError(f"{name}: image {image_id}: expected its width and height in pixels, which masks need, got none")
    return sizes[image_id]


def box_runs(box: Sequence[float], size: Size) -> Runs:
    """Return the pixels of a box ``x y width height`` in an image of ``size``."""
    return _text(coco_mask.frPyObjects(np.array([box], np.float64), *size)[0])


def image_runs(masks: Masks, size: Size) -> list[Runs]:
    """Return the masks of an image of ``size`` as compressed run lengths; rows without mask are empty."""
    return [masks.runs(row, size) or box_runs((0, 0, 0, 0), size) for row in range(len(masks))]


def box_around(segmentation: Segmentation) -> list[float]:
    """Return the box ``x y width height`` around a checked segmentation."""
    if isinstance(segmentation, dict):
        return [float(value) for value in coco_mask.toBbox(mask_runs(segmentation, segmentation["size"], ""))]
    points = np.concatenate(segmentation).reshape(-1, 2)
    return [*points.min(0).tolist(), *np.ptp(points, 0).tolist()]


def truth_mask(segmentation: Segmentation, size: Size, area: float | None, where: str) -> TruthMask:
    """Return the mask of a labeled object.

    Args:
        segmentation: As labeled.
        size: ``(height, width)`` of its image.
        area: Its published area; None: the number of pixels.
        where: Its position, for messages.

    Raises:
        ValueError: If it is of an image of another size.
    """
    runs = mask_runs(segmentation, size, where)
    return TruthMask(runs, float(coco_mask.area(runs)) if area is None else area)


def _text(runs: Any) -> Runs:
    counts = runs["counts"]
    return {"size": [int(side) for side in runs["size"]], "counts": counts.decode() if isinstance(counts, bytes) else counts}


def _checked_runs(value: Mapping[str, Any], where: str) -> Runs:
    """Check that run lengths fill their image: pycocotools reads and writes beyond its memory where they do not."""
    size, counts = value.get("size"), value.get("counts")
    is_size = isinstance(size, Sequence) and len(size) == 2 and all(isinstance(side, int) and 0 < side < 2**31 for side in size)
    if not is_size or not isinstance(counts, (str, bytes, list)):
        raise ValueError(f"{where}: expected {_EXPECTED}, got {str(dict(value))[:60]}")
    lengths = _lengths(counts, where)
    height, width = (int(side) for side in size)  # type: ignore[union-attr]
    total = int(lengths.sum())
    if (lengths < 0).any() or total != height * width:
        got = f"{total:,}" if total != height * width else "a negative length"
        raise ValueError(f"{where}.counts: expected run lengths of {height * width:,} pixels in all ({width} x {height}), got {got}")
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [height, width], "counts": text if isinstance(text, str) else lengths.tolist()}


def _lengths(counts: Any, where: str) -> NDArray[np.int64]:
    if isinstance(counts, list):
        try:
            return np.array(counts, np.int64).reshape(-1)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{where}.counts: expected whole numbers, got {str(counts)[:60]}") from None
    codes = np.frombuffer(counts.encode("ascii", "replace") if isinstance(counts, str) else counts, np.uint8).astype(np.int64) - 48
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError(f"{where}.counts: expected compressed run lengths, got {str(counts)[:60]!r}")
    return decoded_lengths(codes)
