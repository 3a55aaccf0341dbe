"""Columns that are read part by part: arrays that grow, and ids, which are an array where all are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detkit.label_values import canonical_id

Integers = npt.NDArray[np.int64]
Ids = Sequence[Any] | npt.NDArray[np.signedinteger[Any]]


class GrowingArray:
    """An array to which rows are appended; memory that is not used yet is not taken from the system.

    Args:
        dtype: Type of the values.
        shape: Shape of one row.
    """

    def __init__(self, dtype: npt.DTypeLike, shape: tuple[int, ...] = ()) -> None:
        self._values = np.empty((0, *shape), dtype)
        self._length = 0

    def extend(self, rows: npt.NDArray[Any]) -> None:
        """Append rows."""
        end = self._length + len(rows)
        if end > len(self._values):
            self._values.resize((max(end, 2 * len(self._values)), *self._values.shape[1:]), refcheck=False)
        self._values[self._length : end] = rows
        self._length = end

    def taken(self) -> npt.NDArray[Any]:
        """Return all rows, and forget them."""
        values, self._values = self._values, self._values[:0].copy()
        length, self._length = self._length, 0
        values.resize((length, *values.shape[1:]), refcheck=False)
        return values


def joined_ids(values: list[Ids]) -> Ids:
    """Concatenate several groups of ids."""
    if values and all(isinstance(value, np.ndarray) for value in values):
        joined: npt.NDArray[np.signedinteger[Any]] = np.concatenate(values)
        return joined
    return [item for value in values for item in (value.tolist() if isinstance(value, np.ndarray) else value)]


def compact_ids(values: list[Any]) -> Ids:
    """Return integers as an array of the smallest type, other values unchanged."""
    if set(map(type, values)) <= {int}:
        try:
            numbers = np.array(values, np.int64)
        except OverflowError:
            return values
        return numbers.astype(np.int32) if len(numbers) and max(-int(numbers.min()), int(numbers.max())) < 2**31 else numbers
    return values


def id_indices(wanted: Ids, image_ids: Sequence[Any]) -> Integers:
    """Return the index of each id in ``image_ids``, -1 where it is not in it."""
    known = compact_ids(list(image_ids))
    if isinstance(wanted, np.ndarray) and isinstance(known, np.ndarray) and len(known):
        order = np.argsort(known, kind="stable")
        places = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
        return np.where(known[order][places] == wanted, order[places], -1).astype(np.int64)
    index = {image_id: number for number, image_id in enumerate(image_ids)}
    return np.array([index.get(value, -1) for value in (wanted.tolist() if isinstance(wanted, np.ndarray) else wanted)], np.int64)


def annotated_ids(entries: list[Any], path: str) -> list[int | str]:
    """Return the canonical id of the image of each annotation.

    Raises:
        ValueError: If an annotation names none; the message shows it.
    """
    try:
        values = [entry["image_id"] for entry in entries]
        return values if set(map(type, values)) <= {int} else [canonical_id(value) for value in values]
    except (KeyError, TypeError, ValueError):
        invalid = next(entry for entry in entries if not _has_image_id(entry))
        raise ValueError(f"{path}: every annotation needs an image_id, the id of a listed image, got {invalid!r}") from None


def _has_image_id(entry: Any) -> bool:
    try:
        canonical_id(entry["image_id"])
    except (KeyError, TypeError, ValueError):
        return False
    return True
