"""Classes are mapped by name: strict for training, a subset for evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detkit.data import ClassMapping, DetectionData, ImageRecord, Remark, parse_renames
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


def test_renames_and_joins() -> None:
    mapping = ClassMapping.strict(("dog", "cat", "tvmonitor"), ("pet", "tv"), {"dog": "pet", "cat": "pet", "tvmonitor": "tv"})
    mapped = mapping.apply(data())
    assert mapped.records[0].targets.labels.tolist() == [1, 0, 0, 1]
    assert mapped.category_ids == (18, 72)
    assert mapping.lines() == [
        "  0 dog       ->   0 pet (renamed)",
        "  1 cat       ->   0 pet (renamed)",
        "  2 tvmonitor ->   1 tv (renamed)",
    ]


def test_classes_left_out_are_counted_by_file_and_the_given_report_stays() -> None:
    given = data()
    mapping = ClassMapping.by_name(given.class_names, ("cat", "bird"))
    mapped = mapping.apply(given)
    assert mapping.left_out == ("dog", "tvmonitor")
    assert mapping.without_data == ("bird",)
    assert mapped.records[0].targets.labels.tolist() == [0]
    assert mapped.report.by_file() == {"a.jpg": {"class_left_out": 3}}
    assert given.report.count(Remark.CLASS_LEFT_OUT) == 0
    assert mapping.lines()[0] == "  0 dog       -> left out"
    assert len(set(mapped.category_ids)) == 2
    again = ClassMapping.by_name(mapped.class_names, ("bird",)).apply(mapped)
    assert again.report.count(Remark.CLASS_LEFT_OUT) == 4
    assert mapped.report.count(Remark.CLASS_LEFT_OUT) == 3


def test_strict_names_both_lists() -> None:
    with pytest.raises(ValueError, match="the classes differ") as caught:
        ClassMapping.strict(("dog", "cat", "tvmonitor"), ("dog", "cat", "tv"))
    message = str(caught.value)
    assert "the data has 3 [dog, cat, tvmonitor]; expected 3 [dog, cat, tv]" in message
    assert "only in the data: 1 [tvmonitor]; not in the data: 1 [tv]" in message
    assert "rename with map" in message


def test_a_subset_is_enough_for_evaluation() -> None:
    mapping = ClassMapping.subset(("cat",), ("N/A", None, "cat", "dog"))  # type: ignore[arg-type]
    assert mapping.places == (2,)
    assert mapping.without_data == ("N/A", "dog")
    with pytest.raises(ValueError, match=r"only in the data: 1 \[eel\]"):
        ClassMapping.subset(("cat", "eel"), (None, "cat"))


def test_slots_without_a_name_take_no_data() -> None:
    mapped = ClassMapping.subset(("dog", "cat", "tvmonitor"), (None, "cat", None, "dog", "tvmonitor")).apply(data())
    assert mapped.records[0].targets.labels.tolist() == [4, 3, 1, 4]
    assert mapped.class_names[0] == "(slot 0 without a name)"


def test_a_class_mapped_onto_its_own_name_and_twice_the_same() -> None:
    assert parse_renames(["a=b", " a = b ", "c=c"]) == {"a": "b", "c": "c"}


@pytest.mark.parametrize("item", ["tvmonitor", "=tv", "tvmonitor=", ""])
def test_renames_that_are_none(item: str) -> None:
    with pytest.raises(ValueError, match="expected DATA_NAME=NEW_NAME, such as tvmonitor=tv"):
        parse_renames([item])


def test_renames_that_contradict() -> None:
    with pytest.raises(ValueError, match="'a' is already mapped to 'b'"):
        parse_renames(["a=b", "a=c"])


def test_renames_of_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="the data has no class 'tvmonitr': did you mean 'tvmonitor'"):
        ClassMapping.by_name(("tvmonitor",), ("tv",), {"tvmonitr": "tv"})
