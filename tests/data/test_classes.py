"""Classes are mapped by name: strict for training, a subset for evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detkit.data import ClassMapping, ClassMismatchError, DetectionData, ImageRecord, ReadIssue, parse_renames
from detkit.structures import Targets


def data() -> DetectionData:
    targets = Targets.of(torch.tensor([[0.0, 0, 1, 1]]).repeat(4, 1), torch.tensor([2, 0, 1, 2]))
    record = ImageRecord(Path("x/a.jpg"), 1, (5, 5), targets)
    return DetectionData.of("d", ["dog", "cat", "tvmonitor"], [record], [18, 17, 72])


def test_order_does_not_matter() -> None:
    mapped = ClassMapping.strict(("dog", "cat", "tvmonitor"), ("cat", "tvmonitor", "dog")).apply(data())
    assert mapped.class_names == ("cat", "tvmonitor", "dog")
    assert mapped.category_ids == (17, 72, 18)
    assert mapped.records[0].targets.labels.tolist() == [1, 2, 0, 1]
    assert mapped.report.totals() == {}


def test_renaming_and_merging() -> None:
    mapping = ClassMapping.strict(("dog", "cat", "tvmonitor"), ("pet", "tv"), {"dog": "pet", "cat": "pet", "tvmonitor": "tv"})
    mapped = mapping.apply(data())
    assert mapped.records[0].targets.labels.tolist() == [1, 0, 0, 1]
    assert mapped.category_ids == (18, 72)
    assert mapping.lines() == [
        "  0 dog       ->   0 pet (renamed)",
        "  1 cat       ->   0 pet (renamed)",
        "  2 tvmonitor ->   1 tv (renamed)",
    ]


def test_dropped_classes_are_counted_by_file_in_a_new_report() -> None:
    original = data()
    mapping = ClassMapping.by_name(original.class_names, ("cat", "bird"))
    mapped = mapping.apply(original)
    assert mapping.dropped == ("dog", "tvmonitor")
    assert mapping.missing == ("bird",)
    assert mapped.records[0].targets.labels.tolist() == [0]
    assert mapped.report.by_file() == {"a.jpg": {"class_not_selected": 3}}
    assert original.report.count(ReadIssue.CLASS_NOT_SELECTED) == 0
    assert mapping.lines()[0] == "  0 dog       -> dropped"
    assert len(set(mapped.category_ids)) == 2
    again = ClassMapping.by_name(mapped.class_names, ("bird",)).apply(mapped)
    assert again.report.count(ReadIssue.CLASS_NOT_SELECTED) == 4
    assert mapped.report.count(ReadIssue.CLASS_NOT_SELECTED) == 3


def test_strict_error_lists_both_sides() -> None:
    with pytest.raises(ValueError, match="the classes differ") as caught:
        ClassMapping.strict(("dog", "cat", "tvmonitor"), ("dog", "cat", "tv"))
    message = str(caught.value)
    assert "the data has 3 [dog, cat, tvmonitor]; expected 3 [dog, cat, tv]" in message
    assert "only in the data: 1 [tvmonitor]; not in the data: 1 [tv]" in message
    assert "rename classes with data.rename=tvmonitor=NAME" in message


def test_evaluation_accepts_a_subset() -> None:
    mapping = ClassMapping.subset(("cat",), ("N/A", None, "cat", "dog"))  # type: ignore[arg-type]
    assert mapping.indices == (2,)
    assert mapping.missing == ("N/A", "dog")
    with pytest.raises(ClassMismatchError, match=r"only in the data: 1 \[eel\]; rename classes with renames={'eel': NAME}") as caught:
        ClassMapping.subset(("cat", "eel"), (None, "cat"))
    assert caught.value.for_command(True).endswith("with --rename eel=NAME, or select the classes to keep with --classes")
    assert caught.value.for_command(False).endswith("with detkit data rename DATA NEW eel=NAME")


def test_unnamed_slots_get_no_data() -> None:
    mapped = ClassMapping.subset(("dog", "cat", "tvmonitor"), (None, "cat", None, "dog", "tvmonitor")).apply(data())
    assert mapped.records[0].targets.labels.tolist() == [4, 3, 1, 4]
    assert mapped.class_names[0] == "(slot 0 without a name)"


def test_identity_and_duplicate_renames() -> None:
    assert parse_renames(["a=b", " a = b ", "c=c"]) == {"a": "b", "c": "c"}


@pytest.mark.parametrize("item", ["tvmonitor", "=tv", "tvmonitor=", ""])
def test_malformed_renames(item: str) -> None:
    with pytest.raises(ValueError, match="expected DATA_NAME=NEW_NAME, such as tvmonitor=tv"):
        parse_renames([item])


def test_contradictory_renames() -> None:
    with pytest.raises(ValueError, match="'a' is already renamed to 'b'"):
        parse_renames(["a=b", "a=c"])


def test_renames_of_missing_classes() -> None:
    with pytest.raises(ValueError, match="the data has no class 'tvmonitr': did you mean 'tvmonitor'"):
        ClassMapping.by_name(("tvmonitor",), ("tv",), {"tvmonitr": "tv"})
