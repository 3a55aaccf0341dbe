"""Validation of COCO results (one row per detection) against their ground truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.image_ids import joined_results
from detkit.evaluation.mask_runs import box_around, read_segmentation

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Results = Sequence[Mapping[str, Any]]
"""COCO's results format: rows with ``image_id``, ``category_id``, ``bbox`` (x, y, width, height) and ``score``."""

_KEYS = ("image_id", "category_id", "bbox", "score")


def check_results(rows: Any, truth: GroundTruth, name: str = "results") -> Results:
    """Check that all rows belong to the ground truth and their boxes and scores are finite; return them with its ids.

    An image may be named by its id as a number or text, or by its file; see :func:`~detkit.evaluation.image_ids.joined_results`. A row
    with a mask needs no box.

    Raises:
        ValueError: If a row is wrong; the message names the first one, and states the expected and actual values.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)):
        hint = "; give the results as a list of detections, not the ground truth" if isinstance(rows, Mapping) else ""
        raise ValueError(f"{name}: expected a list of rows with {', '.join(_KEYS)}, got {type(rows).__name__}{hint}")
    rows = _with_boxes(joined_results(rows, truth, name), name)
    if not _all_valid(rows, truth):
        images = frozenset(truth.image_ids)
        for index, row in enumerate(rows):
            _check_row(row, truth, images, f"{name}[{index}]")
    checked: Results = rows
    return checked


def _with_boxes(rows: Sequence[Any], name: str) -> Sequence[Any]:
    """Return results in which rows without a box have that around their mask, as COCO's own code gives them."""

    def with_box(index: int, row: Any) -> Any:
        if not isinstance(row, Mapping) or "bbox" in row or "segmentation" not in row:
            return row
        segmentation = read_segmentation(row["segmentation"], f"{name}[{index}].segmentation")
        return row if segmentation is None else {**row, "bbox": box_around(segmentation)}

    if not any(isinstance(row, Mapping) and "bbox" not in row for row in rows):
        return rows
    return [with_box(index, row) for index, row in enumerate(rows)]


def columns(results: Any) -> tuple[Integers, Integers, Floats, Floats]:
    """Return the image ids, category ids, boxes ``(N, 4)`` and scores of checked rows, or of an ``(N, 7)`` array."""
    if isinstance(results, np.ndarray):
        return results[:, 0].astype(np.int64), results[:, 6].astype(np.int64), results[:, 1:5], results[:, 5]
    image, category = (np.array([row[key] for row in results], np.int64) for key in ("image_id", "category_id"))
    boxes = np.array([row["bbox"] for row in results], np.float64).reshape(-1, 4)
    return image, category, boxes, np.array([row["score"] for row in results], np.float64)


def _all_valid(rows: Results, truth: GroundTruth) -> bool:
    """Check all rows at once; if this fails, :func:`_check_row` looks at each row."""
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
        raise ValueError(f"{where}.bbox: expected x, y, width, height with no negative side, got {box!r}; are these corners?")
    if not _is_number(score):
        raise ValueError(f"{where}.score: expected a finite number, got {score!r}; detections are ranked by it")


def _check_ids(row: Mapping[str, Any], truth: GroundTruth, images: frozenset[int], where: str) -> None:
    for key in ("image_id", "category_id"):
        if not _is_integer(row[key]):
            raise ValueError(f"{where}.{key}: expected an integer, got {row[key]!r}")
    if row["image_id"] not in images:
        _unknown(where, "image_id", row["image_id"], truth.image_ids, f"do these results belong to {truth.name}?")
    if row["category_id"] not in truth.categories:
        named = [f"{category_id} ({name})" for category_id, name in truth.categories.items()]
        _unknown(
            where,
            "category_id",
            row["category_id"],
            named,
            "results must contain the category ids of the ground truth, not model labels",
        )


def _unknown(where: str, key: str, got: Any, known: Sequence[Any], hint: str) -> NoReturn:
    shown = ", ".join(str(value) for value in known[:3]) + (f", ... ({len(known):,} in all)" if len(known) > 3 else "")
    raise ValueError(f"{where}.{key}: expected one of the ground truth: {shown}; got {got!r}; {hint}")


def _is_integer(value: Any) -> bool:
    """Whether a value is an integer, also one written as 3.0; booleans are not accepted."""
    return _is_number(value) and not isinstance(value, bool) and value == int(value)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float, np.number)) and math.isfinite(value)
    except OverflowError:  # an integer beyond the range of floats
        return False
