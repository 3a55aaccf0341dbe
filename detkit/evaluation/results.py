"""COCO results (one row a detection), checked against the ground truth that they are about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from detkit.evaluation.ground_truth import GroundTruth

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Results = Sequence[Mapping[str, Any]]
"""Rows of ``image_id``, ``category_id``, ``bbox`` (x, y, width, height) and ``score``; COCO's results format."""

_KEYS = ("image_id", "category_id", "bbox", "score")


def check_results(rows: Any, truth: GroundTruth, name: str = "results") -> Results:
    """The rows, after each was checked: its ids are in the ground truth, its box and score are finite numbers.

    Raises:
        ValueError: names the first row that is wrong, what was expected, and what was got.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)):
        hint = "; give the results as a list of detections, not the ground truth" if isinstance(rows, Mapping) else ""
        raise ValueError(f"{name}: expected a list of rows with {', '.join(_KEYS)}, got {type(rows).__name__}{hint}")
    if not _all_well(rows, truth):
        images = frozenset(truth.image_ids)
        for place, row in enumerate(rows):
            _check_row(row, truth, images, f"{name}[{place}]")
    return rows


def columns(results: Any) -> tuple[Integers, Integers, Floats, Floats]:
    """Image ids, category ids, boxes ``(N, 4)`` and scores of checked rows, or of an ``(N, 7)`` array."""
    if isinstance(results, np.ndarray):
        return results[:, 0].astype(np.int64), results[:, 6].astype(np.int64), results[:, 1:5], results[:, 5]
    image, category = (np.array([row[key] for row in results], np.int64) for key in ("image_id", "category_id"))
    boxes = np.array([row["bbox"] for row in results], np.float64).reshape(-1, 4)
    return image, category, boxes, np.array([row["score"] for row in results], np.float64)


def _all_well(rows: Results, truth: GroundTruth) -> bool:
    """A quick look at all rows at once; a doubt sends each row through :func:`_check_row`."""
    if not rows:
        return True
    try:
        known = {row["image_id"] for row in rows} <= set(truth.image_ids)
        known &= {row["category_id"] for row in rows} <= truth.categories.keys()
        known &= bool not in {type(row[key]) for row in rows for key in ("image_id", "category_id")}
        numbers = np.array([(*row["bbox"], row["score"]) for row in rows])
    except (TypeError, KeyError, ValueError):
        return False
    if numbers.dtype.kind not in "iuf" or numbers.shape[1] != 5:
        return False
    return known and bool(np.isfinite(numbers).all() and (numbers[:, 2:4] >= 0).all())


def _check_row(row: Any, truth: GroundTruth, images: frozenset[int], where: str) -> None:
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}: expected an object with {', '.join(_KEYS)}, got {row!r}")
    for key in _KEYS:
        if key not in row:
            raise ValueError(f"{where}: has no {key!r}; a detection has {', '.join(_KEYS)}")
    _check_ids(row, truth, images, where)
    box, score = row["bbox"], row["score"]
    if not isinstance(box, Sequence) or len(box) != 4 or not all(_is_number(value) for value in box):
        raise ValueError(f"{where}.bbox: expected four finite numbers x, y, width, height, got {box!r}")
    if box[2] < 0 or box[3] < 0:
        raise ValueError(f"{where}.bbox: expected x, y, width, height, no side below 0, got {box!r}; are these corners?")
    if not _is_number(score):
        raise ValueError(f"{where}.score: expected a finite number, got {score!r}; detections are ranked by it")


def _check_ids(row: Mapping[str, Any], truth: GroundTruth, images: frozenset[int], where: str) -> None:
    for key in ("image_id", "category_id"):
        if not _is_whole(row[key]):
            raise ValueError(f"{where}.{key}: expected a whole number, got {row[key]!r}")
    if row["image_id"] not in images:
        _unknown(where, "image_id", row["image_id"], truth.image_ids, f"is {truth.name} the file of these results?")
    if row["category_id"] not in truth.categories:
        named = [f"{category_id} ({name})" for category_id, name in truth.categories.items()]
        _unknown(where, "category_id", row["category_id"], named, "results carry the ground truth's category ids, not a model's labels")


def _unknown(where: str, key: str, got: Any, known: Sequence[Any], hint: str) -> NoReturn:
    shown = ", ".join(str(value) for value in known[:3]) + (f", ... ({len(known):,} in all)" if len(known) > 3 else "")
    raise ValueError(f"{where}.{key}: expected one of the ground truth's: {shown}; got {got!r}; {hint}")


def _is_whole(value: Any) -> bool:
    """A whole number, also one written as 3.0; True is none, though Python counts it as 1."""
    return _is_number(value) and not isinstance(value, bool) and value == int(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)
