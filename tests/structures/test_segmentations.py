"""Segmentations are kept per row, whatever their form, and selected like every column."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from detkit.structures import Segmentations, Targets

POLYGONS: list[list[list[list[float]]]] = [
    [[[0, 0], [4.25, 0], [4.25, 3]]],
    [],
    [[[1, 1], [2, 1], [2, 2]], [[5, 5], [6, 5], [6, 6], [5, 6.1]]],
]
STORED: list[Any] = [[[0, 0, 4.25, 0, 4.25, 3]], None, [[1, 1, 2, 1, 2, 2], [5, 5, 6, 5, 6, 6, 5, 6.1]]]
RUNS = {"size": [4, 5], "counts": "aab"}


def values(rows: Segmentations) -> list[Any]:
    return [rows.stored(row) for row in range(len(rows))]


def test_polygons_come_back_as_they_were() -> None:
    rows = Segmentations.of_polygons(POLYGONS)
    assert values(rows) == STORED
    assert rows.present.tolist() == [True, False, True]
    polygons = rows.polygons(2)
    assert polygons is not None
    assert_array_equal(polygons[1], np.array([[5, 5], [6, 5], [6, 6], [5, 6.1]], np.float32))
    assert rows.polygons(1) is None


def test_run_lengths_have_no_polygons() -> None:
    rows = Segmentations.of_values([None, RUNS])
    assert values(rows) == [None, RUNS]
    assert rows.polygons(1) is None


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(1, None), [1, 2]),
        (np.array([2, 0]), [2, 0]),
        (torch.tensor([2, 2]), [2, 2]),
        (torch.tensor([True, False, True]), [0, 2]),
        ([0], [0]),
    ],
)
def test_rows_are_selected(index: Any, expected: list[int]) -> None:
    assert values(Segmentations.of_polygons(POLYGONS)[index]) == [STORED[row] for row in expected]


def test_groups_of_rows_are_joined() -> None:
    rows = Segmentations.of_polygons(POLYGONS)
    joined = Segmentations.cat([rows[2:], Segmentations.none(1), Segmentations.of_values([RUNS]), rows[:1]])
    assert values(joined) == [STORED[2], None, RUNS, STORED[0]]
    assert len(joined.sources) == 2  # both parts of the same rows share theirs
    assert values(Segmentations.cat([])) == []


def test_rows_are_replaced() -> None:
    rows = Segmentations.of_polygons(POLYGONS).replaced(np.array([True, True, False]), Segmentations.of_values([RUNS, None]))
    assert values(rows) == [RUNS, None, STORED[2]]


def test_only_what_is_used_is_sent() -> None:
    many = Segmentations.of_polygons([[[[0, 0], [1, 0], [number, 1]]] for number in range(10_000)])
    few = many[[17, 9_000]]
    assert len(pickle.dumps(few)) < 2_000
    assert values(pickle.loads(pickle.dumps(few))) == [[[0, 0, 1, 0, 17, 1]], [[0, 0, 1, 0, 9000, 1]]]
    assert values(pickle.loads(pickle.dumps(Segmentations.of_values([RUNS, None, RUNS])[1:]))) == [None, RUNS]


def test_rows_without_any_cost_nothing() -> None:
    targets = Targets.of(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))
    assert targets.segmentations is None
    assert Targets.cat([targets, targets]).segmentations is None
    with_some = targets.replace(segmentations=Segmentations.of_values([None, RUNS]))
    joined = Targets.cat([targets, with_some]).segmentations
    assert joined is not None
    assert values(joined) == [None, None, None, RUNS]
    with pytest.raises(ValueError, match="Targets.segmentations: expected one value for each of 2 rows, got 1"):
        targets.replace(segmentations=Segmentations.none(1))
