"""Findings name files, objects and pairs, and survive JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detkit.data import DetectionData, ImageRecord
from detkit.data.checks.findings import MOST_EXAMPLES, Finding, Others, Rule, Severity
from detkit.data.checks.report import CheckReport
from detkit.structures import Targets

RULE = Rule("odd", Severity.WARNING, "odd boxes", "look at them")
ERROR = Rule("wrong", Severity.ERROR, "wrong images", "remove them")


def _data(lengths: list[int]) -> DetectionData:
    records = [
        ImageRecord(Path(f"/data/images/sub/{index}.jpg"), index, (10, 10), Targets.of(torch.ones(count, 4), torch.zeros(count).long()))
        for index, count in enumerate(lengths)
    ]
    data = DetectionData.of("data", ["a"], records)
    return DetectionData(data.name, data.class_names, data.category_ids, data.records, image_root="/data/images")


def test_boxes_are_named_by_file_and_number_of_the_object() -> None:
    finding = Finding.of_boxes(RULE, "train", _data([2, 0, 3]), np.array([1, 2, 4]), details=lambda case: f"case {case}")
    assert finding.count == 3
    assert finding.images.tolist() == [0, 2, 2]
    assert [str(example) for example in finding.examples()] == [
        "sub/0.jpg object 2: case 0",
        "sub/2.jpg object 1: case 1",
        "sub/2.jpg object 3: case 2",
    ]


def test_pairs_name_both_images() -> None:
    data = _data([1, 1])
    finding = Finding.of_images(ERROR, "train", data, np.array([1]), details=["same bytes"], other=Others("val", data, np.array([0])))
    assert str(finding.examples()[0]) == "sub/1.jpg = val: sub/0.jpg: same bytes"


def test_lines_count_the_cases_that_are_not_shown() -> None:
    finding = Finding.of_images(ERROR, "train", _data([1] * 150), np.arange(150))
    assert len(finding.cases) == MOST_EXAMPLES
    assert finding.lines(1) == ["train: wrong images: 150", "    sub/0.jpg", "    and 149 more", "    -> remove them"]


def test_one_line_lists_classes_and_shows_examples_of_images() -> None:
    classes = Finding.of_texts(RULE, "val", [f"class {number}" for number in range(12)])
    assert classes.line(texts=2) == "val: odd boxes: class 0, class 1 and 10 more; look at them"
    assert Finding.of_texts(RULE, "", ["class 0"]).line() == "odd boxes: class 0; look at them"
    images = Finding.of_images(ERROR, "train", _data([1] * 3), np.arange(3))
    assert images.line() == "train: wrong images: 3 (such as sub/0.jpg; sub/1.jpg); remove them"


def test_names_cannot_control_the_terminal() -> None:
    assert "\x1b" not in str(Finding.of_texts(RULE, "", ["a\x1b[31mb"]).examples()[0])


def test_report_survives_json(tmp_path: Path) -> None:
    data = _data([1, 1])
    findings = (Finding.of_boxes(RULE, "train", data, np.array([0])), Finding.of_images(ERROR, "val", data, np.array([1])))
    report = CheckReport("data", findings, {"train": {"images": 2}})
    report.write(tmp_path / "report.json")
    read = CheckReport.read(tmp_path / "report.json")
    assert read.as_json() == report.as_json()
    assert [finding.rule for finding in read.findings] == [ERROR, RULE]
    assert read.counts == {"error": 1, "warning": 1, "note": 0}


def test_other_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="expected schema 1, got 7"):
        CheckReport.from_json({"schema": 7})


@pytest.mark.parametrize(("rules", "plain", "strict"), [((), 0, 0), ((RULE,), 0, 1), ((RULE, ERROR), 1, 1)])
def test_exit_code(rules: tuple[Rule, ...], plain: int, strict: int) -> None:
    report = CheckReport("data", tuple(Finding.of_texts(rule, "", ["x"]) for rule in rules))
    assert (report.exit_code(), report.exit_code(strict=True)) == (plain, strict)
