"""The whole check of data sets on disk, in several formats."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import detkit.curation
from detkit.curation.checking.check import check, check_parts
from detkit.data.checks.findings import Severity
from detkit.data.checks.report import CheckReport

from .conftest import Make

KINDS = ("coco", "voc", "yolo")


def summary(report: CheckReport) -> set[tuple[str, str, int]]:
    return {(finding.rule.name, finding.part, finding.count) for finding in report.findings}


@pytest.mark.parametrize("kind", KINDS)
def test_clean_data_have_no_findings(make: Make, kind: str) -> None:
    checked = check_parts(make(kind))
    assert checked.report.findings == ()
    assert checked.parts is not None
    assert {name: values["boxes"] for name, values in checked.report.statistics.items()} == {"train": 24, "val": 8}


@pytest.mark.parametrize("kind", KINDS)
def test_planted_faults_are_found_in_every_format_and_nothing_else(make: Make, kind: str) -> None:
    duplicate, conflict, outside = [30, 6, 58, 40, 1], [5, 4, 21, 30, 1], [40, 30, 74, 47, 0]
    folder = make(kind, [[duplicate], [conflict], [outside]])
    image = next(folder.rglob("train5.png"))
    copy = next(folder.rglob("val2.png"))
    shutil.copy(image, copy)
    next(folder.rglob("train6.png")).write_bytes(b"no image")
    report = check(folder)
    outside_rule = {("clipped", "train", 1)}
    assert summary(report) - outside_rule == {
        ("duplicate_box", "train", 1),
        ("class_conflict", "train", 1),
        ("unreadable_image", "train", 1),
        ("leak", "train", 1),
    }
    assert report.exit_code() == 1
    details = {finding.rule.name: str(finding.examples()[0]) for finding in report.findings}
    assert details["duplicate_box"] == "train0.png object 3: dog as object 2"
    assert details["class_conflict"] == "train1.png object 3: dog, which is cat as object 1"
    assert details["leak"] == "train5.png = val: val2.png: the same bytes"


def test_a_part_that_cannot_be_read_does_not_hide_the_others(make: Make) -> None:
    folder = make("coco", [[[30, 6, 58, 40, 1]]])
    file = next(folder.rglob("*val*.json"))
    file.write_text(file.read_text()[:200])
    checked = check_parts(folder)
    assert summary(checked.report) == {("unreadable_part", "val", 1), ("duplicate_box", "train", 1)}
    (error,) = checked.report.of(Severity.ERROR)
    assert "instances_val.json" in str(error.examples()[0])
    assert "JSON" in str(error.examples()[0])
    assert checked.parts is not None
    assert list(checked.parts.parts) == ["train"]


def test_nothing_can_be_read(make: Make) -> None:
    folder = make("yolo")
    for file in folder.rglob("labels/*/[tv]*.txt"):
        file.write_text("cat 1 2 3 4\n")
    checked = check_parts(folder)
    assert checked.parts is None
    assert summary(checked.report) == {("unreadable_part", "train", 1), ("unreadable_part", "val", 1)}
    assert checked.report.exit_code() == 1


def test_a_path_that_does_not_exist_is_not_a_finding(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        check(tmp_path / "none")
    with pytest.raises(ValueError, match="no labels in a known format"):
        check(tmp_path)


def test_only_the_named_parts_are_checked(make: Make) -> None:
    folder = make("coco", [[[30, 6, 58, 40, 1]]])
    assert check(folder, ["val"]).findings == ()
    assert set(check(folder, ["train"]).statistics) == {"train"}


def test_the_only_part_is_learned_whatever_its_name(make: Make) -> None:
    folder = make("coco")
    file = next(folder.rglob("*train*.json"))
    content = json.loads(file.read_text())
    content["categories"].append({"id": 77, "name": "owl"})
    alone = folder / "labels.json"
    alone.write_text(json.dumps(content))
    report = check(alone, images(folder, alone))
    assert ("missing_class", next(iter(report.statistics)), 1) in summary(report)


def images(folder: Path, alone: Path) -> tuple[str, ...]:
    """Move the labels to their images, where they are found without a folder of images."""
    target = next(folder.rglob("train0.png")).parent / alone.name
    shutil.move(alone, target)
    alone.symlink_to(target)
    return ()


def test_the_function_is_exported() -> None:
    assert detkit.curation.check is check
