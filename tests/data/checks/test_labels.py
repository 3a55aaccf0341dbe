"""Planted faults of every rule are found, each with its count and place, and nothing else is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detkit.data import DetectionData, ReadIssue, ReadReport, Records
from detkit.data.checks import rules
from detkit.data.checks.findings import Finding, Severity
from detkit.data.checks.labels import check_labels
from detkit.structures import Segmentations

Parts = dict[str, DetectionData]
NAMES = ("cat", "dog")
SIZE = (100, 200)


def boxes_of(image: int) -> list[list[float]]:
    """One cat and one dog per image, apart from each other."""
    shift = image % 5
    return [[10 + shift, 10, 40 + shift, 60, 0], [80, 20 + shift, 150, 90 + shift, 1]]


def build(rows: list[list[list[float]]], folder: str, crowds: set[int] = frozenset()) -> DetectionData:  # type: ignore[assignment]
    """Build a part; a row of an image is ``x1 y1 x2 y2 label``, and ``crowds`` are rows of the part."""
    table = np.array([box for image in rows for box in image], np.float64).reshape(-1, 5)
    boxes = table[:, :4].astype(np.float32)
    columns = {
        "boxes": boxes,
        "labels": table[:, 4].astype(np.int64),
        "is_crowd": np.isin(np.arange(len(table)), sorted(crowds)),
        "is_difficult": np.zeros(len(table), np.bool_),
        "areas": (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
    }
    columns |= {name: column.blank_array(len(table)) for name, column in Records.kind.columns.items() if name not in columns}
    offsets = np.concatenate([[0], np.cumsum([len(image) for image in rows])]).astype(np.int64)
    paths = tuple(f"/data/{folder}/{index:03}.jpg" for index in range(len(rows)))
    records = Records(paths, tuple(range(len(rows))), np.tile(SIZE, (len(rows), 1)), offsets, columns)
    return DetectionData(folder, NAMES, (1, 2), records, ReadReport(folder), image_root=f"/data/{folder}")


def rows_of(images: int) -> list[list[list[float]]]:
    return [boxes_of(image) for image in range(images)]


def clean() -> Parts:
    return {"train": build(rows_of(30), "train"), "val": build(rows_of(12), "val")}


def with_train(rows: list[list[list[float]]], **options: set[int]) -> Parts:
    return {**clean(), "train": build(rows, "train", **options)}


def with_boxes(*boxes: list[float]) -> Parts:
    """Return clean data with more boxes in the fourth image, after its own two."""
    rows = rows_of(30)
    rows[3] += boxes
    return with_train(rows)


def crowded() -> Parts:
    rows = rows_of(30)
    rows[5] = [[x * 3, y * 3, x * 3 + 2.5, y * 3 + 2.5, 0] for x in range(11) for y in range(10)]
    return with_train(rows)


def no_objects(part: str, images: int) -> Parts:
    data = clean()[part]
    return {**clean(), part: build(rows_of(images), part, crowds=set(range(2 * images)))} if len(data) == images else {}


def missing(part: str) -> Parts:
    images = len(clean()[part])
    return {**clean(), part: build([[box for box in boxes_of(image) if box[4] == 0] for image in range(images)], part)}


def frequencies(dogs: int, images: int) -> Parts:
    rows = [[box for box in boxes_of(image) if box[4] == 0 or image < dogs] for image in range(images)]
    return with_train(rows)


def named(*names: str) -> Parts:
    return {part: replace(data, class_names=names) for part, data in clean().items()}


def shared(indices: Mapping[str, slice]) -> Parts:
    """Return clean data in which the first images of every named part are the same files."""
    parts = {**clean(), "test": build(rows_of(10), "test")}
    for part, images in indices.items():
        records = parts[part].records
        paths = list(records.paths)
        paths[images] = [f"/data/shared/{index}.jpg" for index in range(len(paths[images]))]
        parts[part] = replace(parts[part], records=replace(records, paths=tuple(paths)))
    return parts


def repeated(count: int) -> DetectionData:
    """Return the clean validation images over and over."""
    data = clean()["val"]
    records = data.records.take(np.arange(count) % len(data))
    return replace(data, records=replace(records, paths=tuple(f"/data/many/{index}.jpg" for index in range(count))))


def reported(issue: ReadIssue) -> Parts:
    parts = clean()
    parts["val"].report.add(issue, "b.jpg", 2)
    parts["val"].report.add(issue, "c.jpg", 1, "the detail")
    return parts


def unchecked() -> Parts:
    parts = clean()
    parts["train"].report.checked = 10
    return parts


def masked(shift: float = 0, size: list[int] | None = None, count: int | None = None) -> Parts:
    """Return data whose objects have outlines of their boxes, all or the first ones; that of the first one is moved, or replaced."""
    data = clean()["train"]
    boxes = data.records.boxes.tolist()
    values: list[Any] = [[[x1, y1, x2, y1, x2, y2, x1, y2]] for x1, y1, x2, y2 in boxes]
    x1, y1, x2, y2 = boxes[0]
    values[0] = [[x1 + shift, y1, x2 + shift, y1, x2 + shift, y2, x1 + shift, y2]] if size is None else {"size": size, "counts": [81]}
    values = values if count is None else [*values[:count], *[None] * (len(values) - count)]
    columns = {**data.records.columns, "segmentations": Segmentations.of_values(values)}
    return {**clean(), "train": replace(data, records=replace(data.records, columns=columns))}


FAULTS: dict[str, tuple[Callable[[], Parts], str, int, str]] = {
    "no_training_objects": (lambda: no_objects("train", 30), "train", 30, "30 images"),
    "no_objects": (lambda: no_objects("val", 12), "val", 12, "12 images"),
    "leak": (
        lambda: shared({"train": slice(3), "val": slice(3)}),
        "train",
        3,
        "/data/shared/0.jpg = val: /data/shared/0.jpg: the same file",
    ),
    "shared_image": (
        lambda: shared({"val": slice(2), "test": slice(2)}),
        "val",
        2,
        "/data/shared/0.jpg = test: /data/shared/0.jpg: the same file",
    ),
    "same_parts": (lambda: {**clean(), "val": clean()["train"]}, "", 1, "train and val: 30 images"),
    "uncompared_files": (
        lambda: {**clean(), "val": repeated(20_001)},
        "",
        1,
        "train and val: 30 and 20,001 images; files are compared up to 20,000",
    ),
    "mostly_empty": (lambda: with_train([*rows_of(15), *[[] for _ in range(16)]]), "train", 16, "015.jpg"),
    "empty_image": (lambda: with_train([*rows_of(29), []]), "train", 1, "029.jpg"),
    "crowded_image": (crowded, "train", 1, "005.jpg: 110 objects; half of the images with objects have at most 2"),
    "duplicate_box": (
        lambda: with_boxes([13, 10, 43, 60.5, 0], [13, 10, 43, 60, 0], [13, 10, 48, 60, 0]),
        "train",
        2,
        "003.jpg object 3: cat as object 1, IoU 0.99",
    ),
    "class_conflict": (lambda: with_boxes([80, 23, 150, 93, 0]), "train", 1, "003.jpg object 3: cat, which is dog as object 2"),
    "tiny_box": (lambda: with_boxes([5, 5, 6.5, 30, 1], [5, 5, 7, 30, 1]), "train", 1, "003.jpg object 3: dog, 1.5 x 25 pixels"),
    "thin_box": (lambda: with_boxes([5, 1, 150, 3.5, 1], [5, 1, 105, 3, 0]), "train", 1, "003.jpg object 3: dog, 145 x 2.5 pixels"),
    "whole_image_box": (
        lambda: with_boxes([0, 0, 200, 99.5, 1], [0, 0, 190, 99, 1]),
        "train",
        1,
        "003.jpg object 3: dog, 200 x 99.5 pixels",
    ),
    "mask_off_box": (lambda: masked(shift=9), "train", 1, "000.jpg object 1: cat, box 10 10 40 60, around the mask 19 10 49 60"),
    "empty_mask": (lambda: masked(shift=500), "train", 1, "000.jpg object 1: cat, no pixel is inside"),
    "invalid_mask": (
        lambda: masked(size=[9, 9]),
        "train",
        1,
        "000.jpg object 1: cat, run lengths of a mask: expected those of an image of 200 x 100 pixels (width x height), got 9 x 9",
    ),
    "missing_mask": (lambda: masked(count=2), "train", 58, "001.jpg object 1"),
    "missing_class": (lambda: missing("train"), "train", 1, "dog"),
    "unmeasured_class": (lambda: missing("val"), "val", 1, "dog"),
    "rare_class": (lambda: frequencies(9, 60), "train", 1, "dog: 9"),
    "class_imbalance": (lambda: frequencies(10, 1001), "train", 1, "dog: 10, cat 1,001"),
    "similar_classes": (lambda: named("sea lion", "Sea_Lion"), "", 1, "'sea lion' and 'Sea_Lion'"),
    "unchecked_sizes": (unchecked, "train", 20, "10 evenly spaced images were compared"),
    **{rule.name: ((lambda issue=issue: reported(issue)), "val", 3, "c.jpg: the detail") for issue, rule in rules.READER_RULES.items()},
}
"""For each rule data with this fault only, the part, the count, and the first example."""
ELSEWHERE = {"unreadable_part": "tests/curation/checking", "divided_copy": "tests/experiment/test_data_check.py"}


def summary(findings: tuple[Finding, ...]) -> list[tuple[str, str, int]]:
    return [(finding.rule.name, finding.part, finding.count) for finding in findings]


def test_every_rule_has_a_planted_fault() -> None:
    assert FAULTS.keys() | ELSEWHERE.keys() == rules.LABEL_RULES.keys()


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_nothing_else(name: str) -> None:
    faulty, part, count, example = FAULTS[name]
    report = check_labels("made", faulty())
    assert summary(report.findings) == [(name, part, count)]
    (finding,) = report.findings
    assert finding.rule == rules.LABEL_RULES[name]
    assert str(finding.examples()[0]) == example


def test_clean_data_have_no_findings() -> None:
    assert check_labels("made", clean()).findings == ()


def test_indices_lead_to_the_boxes() -> None:
    parts = with_boxes([80, 23, 150, 93, 0])
    (finding,) = check_labels("made", parts).findings
    assert finding.boxes is not None
    assert (finding.images.tolist(), finding.boxes.tolist()) == ([3], [8])


def test_crowds_are_neither_duplicates_nor_large() -> None:
    rows = rows_of(30)
    rows[0] += [[0, 0, 200, 100, 0], [0, 0, 200, 100, 0]]
    assert check_labels("made", with_train(rows, crowds={2, 3})).findings == ()


def test_boxes_of_classified_images_are_not_checked() -> None:
    rows = [[[0, 0, 200, 100, index % 2]] for index in range(30)]
    data = replace(build(rows, "train"), is_classification=True)
    assert check_labels("made", {"train": data}).findings == ()


def test_small_data_are_not_full_of_rare_classes() -> None:
    assert check_labels("made", {"train": build(rows_of(4), "train")}).findings == ()


def test_shared_reports_are_read_once() -> None:
    data = build(rows_of(30), "all")
    data.report.add(ReadIssue.CLIPPED, "a.jpg")
    parts = {"train": data.take(range(20)), "val": data.take(range(20, 30))}
    assert summary(check_labels("made", parts).findings) == [("clipped", "", 1)]


def test_copies_of_bytes_are_a_leak_even_if_all_images_are_copied(tmp_path: Path) -> None:
    parts = {}
    for part in ("train", "val"):
        data = build(rows_of(12), part)
        paths = tuple(str(tmp_path / part / f"{index}.bin") for index in range(12))
        for index, path in enumerate(paths):
            Path(path).parent.mkdir(exist_ok=True)
            Path(path).write_bytes(bytes([index]) * 10_000 + (b"" if index or part == "train" else b"other"))
        parts[part] = replace(data, records=replace(data.records, paths=paths))
    (finding,) = check_labels("made", parts).findings
    assert summary((finding,)) == [("leak", "train", 11)]
    assert finding.other is not None
    assert finding.images.tolist() == finding.other.images.tolist() == list(range(1, 12))


def test_unique_names_and_sentences_of_rules() -> None:
    names = [rule.name for rule in (*rules.READER_RULES.values(), *_own_rules())]
    assert len(names) == len(set(names)) == len(rules.LABEL_RULES)
    for rule in rules.LABEL_RULES.values():
        assert rule.text[0].islower()
        assert rule.advice


def test_every_issue_of_the_readers_has_its_own_advice() -> None:
    assert {issue.name.lower() for issue in ReadIssue} <= set(rules._ADVICE)


def _own_rules() -> list[rules.Rule]:
    return [value for value in vars(rules).values() if isinstance(value, rules.Rule)]


def test_statistics_count_everything() -> None:
    rows = [*rows_of(29), []]
    statistics = check_labels("made", with_train(rows)).statistics["train"]
    assert (statistics["images"], statistics["boxes"], statistics["images_without_objects"]) == (30, 58, 1)
    assert statistics["classes"] == {"cat": 29, "dog": 29}
    assert statistics["image_sizes"] == [[200, 100, 30]]
    assert (statistics["small"], statistics["medium"], statistics["large"]) == (0, 58, 0)
    for name, total in (("objects_per_image", 30), ("box_sides", 58), ("aspect_ratios", 58)):
        assert sum(statistics[name]["counts"]) == total
        assert len(statistics[name]["edges"]) == len(statistics[name]["counts"])
    assert statistics["objects_per_image"]["median"] == 2


def test_severities_are_those_that_stop_a_training() -> None:
    errors = {rule.name for rule in rules.LABEL_RULES.values() if rule.severity is Severity.ERROR}
    assert errors == {"unreadable_part", "no_training_objects", "leak"}
    assert dataclasses.is_dataclass(rules.LEAK)
