"""Filtering of boxes and images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from labeled_parts import part, parts, snapshot, targets

from detkit.curation.conditions import Comparison, parse_condition
from detkit.curation.filter import Area, FilterOptions, filter_parts
from detkit.curation.parts import LabeledParts

SMALL, WIDE, BIG = (10, 10, 14, 18), (0, 0, 60, 10), (0, 0, 80, 60)
"""4 x 8, 60 x 10 and 80 x 60 pixels, in an image of 100 x 80."""


@pytest.fixture
def data() -> LabeledParts:
    """Two parts; cats are small and wide, a dog is big, a crowd of dogs is small, an image has no boxes."""
    train = part(
        {
            "day/a.png": [(0, SMALL, "dp"), (1, BIG)],
            "day/b.png": [(0, WIDE), (1, SMALL, "c")],
            "night/c.png": [],
        }
    )
    return parts(train=train, val=part({"night/d.png": [(1, BIG), (1, WIDE)], "e.png": [(0, SMALL)]}, first_id=8))


def filtered(data: LabeledParts, **options: Any) -> Any:
    before = snapshot(data)
    result = filter_parts(data, FilterOptions(**options))
    assert snapshot(data) == before
    return result


def names(data: LabeledParts) -> dict[str, tuple[str, ...]]:
    return {name: one.names for name, one in data}


def test_nothing_is_dropped_by_default(data: LabeledParts) -> None:
    result = filtered(data)
    assert snapshot(result.data)[0][:2] == snapshot(data)[0][:2]
    assert (result.data.box_count, dict(result.boxes), dict(result.images)) == (data.box_count, {}, {})


def test_classes_are_selected_by_name_and_keep_their_ids(data: LabeledParts) -> None:
    result = filtered(data, classes=("traffic light", "dog"))
    assert (result.data.class_names, result.data.category_ids) == (("dog", "traffic light"), (5, 10))
    assert dict(result.boxes) == {"class not selected": 3}
    assert [one.data.records.labels.tolist() for _, one in result.data] == [[0, 0], [0, 0]]
    assert [one.data.records.image_ids for _, one in result.data] == [(1, 2, 3), (8, 9)]
    assert filtered(data, drop_classes=("cat",)).data.box_count == 4


@pytest.mark.parametrize(
    ("options", "reason", "count"),
    [
        ({"min_side": 5}, "shorter side below 5 pixels", 2),
        ({"max_side": 60}, "longer side above 60 pixels", 2),
        ({"min_area": Area(100)}, "area below 100 square pixels", 2),
        ({"min_area": Area(0.1, of_image=True)}, "area below 10 % of the image", 4),
        ({"max_area": Area(0.5, of_image=True)}, "area above 50 % of the image", 2),
        ({"max_area": Area(600)}, "area above 600 square pixels", 2),
    ],
)
def test_boxes_are_dropped_by_size_and_counted_by_reason(data: LabeledParts, options: Any, reason: str, count: int) -> None:
    result = filtered(data, **options)
    assert dict(result.boxes) == {reason: count}
    assert result.data.box_count == data.box_count - count
    assert result.data.parts["train"].data.records.is_crowd.sum() == 1  # ignore regions stay
    assert result.data.image_count == 5


def test_the_first_reason_counts(data: LabeledParts) -> None:
    result = filtered(data, classes=("dog",), min_side=5, max_side=70)
    assert dict(result.boxes) == {"class not selected": 3, "longer side above 70 pixels": 2}


def test_columns_follow_their_boxes(data: LabeledParts) -> None:
    records = filtered(data, max_side=20).data.parts["train"].data.records
    assert records.is_difficult.tolist() == [True, False]
    assert records.is_crowd.tolist() == [False, True]
    assert records.segmentations.present.tolist() == [True, False]
    assert records.lengths.tolist() == [1, 1, 0]


def test_boxes_become_ignore_regions_instead(data: LabeledParts) -> None:
    result = filtered(data, min_side=5, ignore=True)
    assert dict(result.boxes) == {"shorter side below 5 pixels": 2}
    train = result.data.parts["train"].data.records
    assert result.data.box_count == data.box_count
    assert train.is_crowd.tolist() == [True, False, False, True]
    assert train.boxes.tolist() == data.parts["train"].data.records.boxes.tolist()


def test_ignored_classes_leave_the_list(data: LabeledParts) -> None:
    result = filtered(data, classes=("dog",), ignore=True)
    assert result.data.class_names == ("dog",)
    assert result.data.parts["train"].data.records.is_crowd.tolist() == [True, False, True, True]
    train = result.data.parts["train"].data.records
    assert train.is_ignore.tolist() == [True, False, True, False]  # the crowd of dogs stays one of dogs
    assert not train.labels.any()
    assert filtered(result.data, classes=("dog",)).data.box_count == data.box_count  # of no class, so not of another one


def test_too_small_boxes_are_ignored_for_their_class_only(data: LabeledParts) -> None:
    train = filtered(data, min_side=5, ignore=True).data.parts["train"].data.records
    assert not train.is_ignore.any()
    assert train.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"names": "^night/"}, {"train": ("night/c.png",), "val": ("night/d.png",)}),
        ({"min_boxes": 1}, {"train": ("day/a.png", "day/b.png"), "val": ("night/d.png", "e.png")}),
        ({"max_boxes": 1}, {"train": ("day/b.png", "night/c.png"), "val": ("e.png",)}),
        ({"where": ("cat>0",)}, {"train": ("day/a.png", "day/b.png"), "val": ("e.png",)}),
        ({"where": ("dog>0",)}, {"train": ("day/a.png",), "val": ("night/d.png",)}),  # a crowd of dogs is no dog
        ({"where": ("dog>=2 or boxes=0",)}, {"train": ("night/c.png",), "val": ("night/d.png",)}),
        ({"where": ("boxes>0", "dog=0")}, {"train": ("day/b.png",), "val": ("e.png",)}),
        ({"where": ("boxes>0 and dog=0",)}, {"train": ("day/b.png",), "val": ("e.png",)}),
        ({"min_side": 30, "drop_empty": True}, {"train": ("day/a.png", "night/c.png"), "val": ("night/d.png",)}),
        ({"min_side": 30, "where": ("boxes>0",)}, {"train": ("day/a.png",), "val": ("night/d.png",)}),
    ],
)
def test_images_are_selected_by_what_is_left_of_their_boxes(data: LabeledParts, options: Any, kept: Any) -> None:
    assert names(filtered(data, **options).data) == kept


def test_boxes_in_images_that_go_are_counted_apart(data: LabeledParts) -> None:
    result = filtered(data, min_side=5, names="b.png|d.png")
    assert (dict(result.boxes), result.boxes_of_images) == ({}, 3)
    assert dict(result.images) == {"name without a match of 'b.png|d.png'": 3}


def test_image_sizes() -> None:
    data = parts(train=part({"a.png": []}, (480, 640)), val=part({"b.png": []}, (300, 400)), test=part({"c.png": []}, (600, 200)))
    result = filtered(data, image_sides=(300, 480))
    assert names(result.data) == {"val": ("b.png",)}
    assert result.empty_parts == ("train", "test")
    assert names(filtered(data, where=("width>=400 and height<480",)).data) == {"val": ("b.png",)}
    assert names(filtered(data, where=("side<=200 or area>300000",)).data) == {"train": ("a.png",), "test": ("c.png",)}


def test_errors(data: LabeledParts) -> None:
    with pytest.raises(ValueError, match="no class 'kat': did you mean 'cat'"):
        filtered(data, classes=("kat",))
    with pytest.raises(ValueError, match="no class is left"):
        filtered(data, drop_classes=("cat", "dog", "traffic light"))
    with pytest.raises(ValueError, match=r"no image is left of 5: not boxes>9: 5"):
        filtered(data, where=("boxes>9",))
    with pytest.raises(ValueError, match="expected a regular expression"):
        filtered(data, names="(")


def test_conditions_are_parsed() -> None:
    condition = parse_condition("'traffic light' >= 2 and boxes<5 or cat != 1.5", ("cat", "traffic light"))
    assert condition.clauses == (
        (Comparison("traffic light", True, ">=", 2), Comparison("boxes", False, "<", 5)),
        (Comparison("cat", True, "!=", 1.5),),
    )
    holds = condition.holds(
        lambda item: {"traffic light": np.array([2.0, 2, 0]), "boxes": np.array([4.0, 5, 0])}.get(item.name, np.ones(3) * 1.5)
    )
    assert holds.tolist() == [True, False, False]


def test_a_quoted_word_is_a_class() -> None:
    assert parse_condition('"boxes">1', ("boxes",)).clauses[0][0].is_class
    assert not parse_condition("boxes>1", ("boxes",)).clauses[0][0].is_class


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got nothing"),
        ("boxes", "got 'boxes'"),
        ("boxes>", "got 'boxes >'"),
        ("boxes>many", "expected a number after boxes>, got 'many'"),
        ("boxes>1 and", "got 'and' after a comparison"),
        ("boxes>1 cat>1", "got 'cat' after a comparison"),
        ("boxs>1", "did you mean 'boxes'"),
        ("__import__('os')>1", "expected comparisons"),
        ("boxes>1 or or cat>1", "expected comparisons"),
    ],
)
def test_other_text_is_no_condition(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="condition") as error:
        parse_condition(text, ("cat",))
    assert message in str(error.value)


def test_targets_of_the_tests_have_flags() -> None:
    made = targets((0, SMALL, "cdp"), (1, BIG, "m"))
    assert made.is_crowd.tolist() == [True, False]
    assert made.segmentations is not None
    assert made.segmentations.polygons(1) is None
