"""The table of results."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pyarrow as pa
import pytest

from detkit.bulk.rows import SCHEMA, ImageRow, masks_of, to_table, upgraded
from detkit.structures.detection import DetectionArrays
from detkit.structures.masks import Masks

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
        **{"labels": [2, 0], "classes": ["z", "x"], "masks": None, "error": None},
    }
    assert second == {**dict.fromkeys(SCHEMA.names), "image": "b", "error": "broken"}
    none: dict[str, object] = {"boxes": [], "scores": [], "labels": [], "classes": [], "masks": None, "error": None}
    assert third == {"image": "c", "width": 7, "height": 5, **none}
    assert (last["image"], last["labels"], last["boxes"]) == (None, [2], [[0, 1, 2, 3]])


def test_masks_are_run_lengths() -> None:
    pixels = np.zeros((2, 6, 8), np.bool_)
    pixels[0, 2:4, 1:5], pixels[1, 0, 7] = True, True
    masks = Masks.cat([Masks.of_arrays(pixels), Masks.none(1)])
    three = DetectionArrays.cat([TWO, TWO[:1]]).replace(masks=masks)
    rows = [ImageRow("a", (6, 8), three), ImageRow("b", error="no"), ImageRow("c", (5, 7), NONE.replace(masks=Masks.none(0)))]
    first, failed, empty = to_table(rows, ("x", None, "z")).to_pylist()
    assert (failed["masks"], empty["masks"]) == (None, [])
    assert first["masks"][2] is None
    read = masks_of(first["masks"], (6, 8))
    assert read.present.tolist() == [True, True, False]
    np.testing.assert_array_equal(read[:2].arrays((6, 8)), pixels)
    assert first["masks"][0] == masks.runs(0, (6, 8))["counts"]  # type: ignore[index]


def test_tables_of_version_1_get_the_column() -> None:
    table = to_table([ImageRow("a", (6, 8), TWO)], ("x", None, "z"))
    old = table.drop_columns("masks")
    assert upgraded(old).schema == SCHEMA
    assert upgraded(old).equals(table)
    assert upgraded(table) is table


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
