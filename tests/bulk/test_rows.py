"""The table of results."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pyarrow as pa
import pytest

from detkit.bulk.rows import SCHEMA, ImageRow, to_table
from detkit.structures.detection import DetectionArrays

TWO = DetectionArrays(np.array([[0, 1, 2, 3], [4, 5, 6, 7.5]], np.float32), np.array([0.9, 0.25], np.float32), np.array([2, 0], np.int64))
NONE = TWO[:0]


def test_detections_are_lists_and_errors_are_null() -> None:
    rows = [ImageRow("a", (6, 8), TWO), ImageRow("b", error="broken"), ImageRow("c", (5, 7), NONE), ImageRow(None, (1, 2), TWO[:1])]
    table = to_table(rows, ("x", None, "z"))
    assert table.schema == SCHEMA
    table.validate(full=True)
    first, second, third, last = table.to_pylist()
    assert first == {
        **{"image": "a", "width": 8, "height": 6, "boxes": [[0, 1, 2, 3], [4, 5, 6, 7.5]], "scores": [np.float32(0.9), 0.25]},
        **{"labels": [2, 0], "classes": ["z", "x"], "error": None},
    }
    assert second == {**dict.fromkeys(SCHEMA.names), "image": "b", "error": "broken"}
    assert third == {"image": "c", "width": 7, "height": 5, "boxes": [], "scores": [], "labels": [], "classes": [], "error": None}
    assert (last["image"], last["labels"], last["boxes"]) == (None, [2], [[0, 1, 2, 3]])


def test_only_failed_rows_and_none_at_all() -> None:
    assert to_table([ImageRow("a", error="no"), ImageRow("b", error="no")], ("x",))["boxes"].null_count == 2
    assert to_table([ImageRow("a", (1, 1), NONE)], ())["scores"].to_pylist() == [[]]
    assert (to_table([], ()).num_rows, to_table([], ()).schema) == (0, SCHEMA)


def test_a_class_without_a_name_is_null() -> None:
    table = to_table([ImageRow("a", (1, 1), DetectionArrays(TWO.boxes, TWO.scores, np.array([1, 1], np.int64)))], ("x", None))
    assert table["classes"].to_pylist() == [[None, None]]
    assert isinstance(table, pa.Table)


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "detkit.bulk.arrow")
    with pytest.raises(
        ImportError, match=r"Parquet files need the package pyarrow, which is not installed .*: pip install 'detkit-vision\[parquet\]'"
    ):
        importlib.import_module("detkit.bulk.arrow")
