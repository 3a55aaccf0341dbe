"""The table of boxes returns its records unchanged."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from detkit.data import DetectionData, ImageRecord, ReadIssue, ReadReport, Records
from detkit.structures import Targets


def records_of(lengths: list[int]) -> list[ImageRecord]:
    torch.manual_seed(0)
    rows = []
    for number, length in enumerate(lengths):
        targets = Targets.of(torch.rand(length, 4), torch.arange(length), torch.rand(length) > 0.5, torch.rand(length) > 0.5)
        rows.append(ImageRecord(Path(f"{number}.jpg"), number * 10, (50 + number, 60), targets))
    return rows


def assert_same(one: ImageRecord, other: ImageRecord) -> None:
    assert (one.path, one.image_id, one.size) == (other.path, other.image_id, other.size)
    for name in ("boxes", "labels", "is_crowd", "is_difficult", "areas"):
        assert_close(getattr(one.targets, name), getattr(other.targets, name), rtol=0, atol=0)


@pytest.mark.parametrize("lengths", [[2, 0, 3, 1], [0, 0], [4], []])
def test_table_returns_its_records(lengths: list[int]) -> None:
    rows = records_of(lengths)
    table = Records.of(rows)
    assert len(table) == len(rows)
    assert table.lengths.tolist() == lengths
    assert table.image_index.tolist() == [number for number, length in enumerate(lengths) for _ in range(length)]
    for one, other in zip(rows, table, strict=True):
        assert_same(one, other)
    for one, other in zip(rows, pickle.loads(pickle.dumps(table)), strict=True):
        assert_same(one, other)


def test_take_and_slices_select_images() -> None:
    rows = records_of([2, 0, 3, 1])
    table = Records.of(rows)
    for selected in ([2, 0, 1], [3, 3], [], [1]):
        for index, record in zip(selected, table.take(selected), strict=True):
            assert_same(rows[index], record)
    assert_same(table[1:][1], rows[2])
    assert_same(table[-1], rows[3])
    with pytest.raises(IndexError):
        table[4]


def test_where_selects_boxes() -> None:
    table = Records.of(records_of([2, 0, 3, 1]))
    kept = table.where(table.labels != 1, table.labels + 5)
    assert [record.targets.labels.tolist() for record in kept] == [[5], [], [5, 7], [5]]
    assert table.labels.max() == 2


def test_records_are_copies() -> None:
    table = Records.of(records_of([2]))
    before = table.boxes.copy()
    table[0].targets.boxes.zero_()
    np.testing.assert_array_equal(table.boxes, before)


def test_large_tables_pickle_to_few_bytes() -> None:
    count = 10_000
    table = Records(
        tuple(f"{n}.jpg" for n in range(count)),
        tuple(range(count)),
        np.ones((count, 2), np.int64),
        np.arange(count + 1),
        {name: column.blank_array(count) for name, column in Targets.columns.items()},
    )
    assert len(pickle.dumps(table, 5)) < 80 * count


def test_class_names_must_be_unique() -> None:
    with pytest.raises(ValueError, match="class names that occur more than once: a; expected unique names"):
        DetectionData.of("d", ["a", "b", "a"], [])
    with pytest.raises(ValueError, match="2 class names but 1 category ids"):
        DetectionData.of("d", ["a", "b"], [], [1])


def test_report_lists_kind_count_and_files() -> None:
    report = ReadReport("d.json")
    assert report.summary() == []
    report.add(ReadIssue.DEGENERATE, "b.jpg", 2, "0 0 0 0")
    report.add(ReadIssue.DEGENERATE, "a.jpg", 1, "1 1 1 1")
    report.add_all(ReadIssue.MISSING_IMAGE, [f"{n}.jpg" for n in range(1200)])
    report.add(ReadIssue.CLIPPED, "a.jpg", 0)
    assert report.totals() == {"missing_image": 1200, "degenerate": 3}
    assert report.summary() == [
        "d.json: images skipped, with their boxes, because the file is missing: 1,200 (0.jpg, 1.jpg, 10.jpg and 1,197 more)",
        "d.json: boxes skipped because they have no width or height: 3 (a.jpg, b.jpg (2); such as b.jpg: 0 0 0 0)",
    ]
    assert report.by_file()["b.jpg"] == {"degenerate": 2}
