"""Ids of images and annotations: an array where all are numbers, which takes a fifth of the memory of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Ids = Sequence[Any] | Integers


def joined_ids(values: list[Ids]) -> Ids:
    """Concatenate several groups of ids."""
    if values and all(isinstance(value, np.ndarray) for value in values):
        return np.concatenate(values)
    return [item for value in values for item in (value.tolist() if isinstance(value, np.ndarray) else value)]


def compact_ids(values: list[Any]) -> list[Any] | Integers:
    """Return integers as an array, other values unchanged."""
    if set(map(type, values)) <= {int}:
        try:
            return np.array(values, np.int64)
        except OverflowError:
            pass
    return values


def id_indices(wanted: Ids, image_ids: Sequence[Any]) -> Integers:
    """Return the index of each id in ``image_ids``, -1 where it is not in it."""
    known = compact_ids(list(image_ids))
    if isinstance(wanted, np.ndarray) and isinstance(known, np.ndarray) and len(known):
        order = np.argsort(known, kind="stable")
        places = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
        return np.where(known[order][places] == wanted, order[places], -1)
    index = {image_id: number for number, image_id in enumerate(image_ids)}
    return np.array([index.get(value, -1) for value in (wanted.tolist() if isinstance(wanted, np.ndarray) else wanted)], np.int64)
