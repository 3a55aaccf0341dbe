"""Subsets: stable, nested, in proportion, by class and by list."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from labeled_parts import part, parts, snapshot

from detkit.curation.parts import LabeledParts
from detkit.curation.subset import SubsetOptions, subset_of_ids, subset_of_names, subset_parts

BOX = (10, 10, 30, 30)


@pytest.fixture
def data() -> LabeledParts:
    """80 and 20 images; every image has a cat, every fifth one two dogs, one image a traffic light, and one a crowd of them."""
    rows = {n: [(0, BOX, "d"), *[(1, BOX)] * (2 * (n % 5 == 0)), *[(2, BOX)] * (n == 7), *[(2, BOX, "c")] * (n == 9)] for n in range(100)}
    return parts(
        train=part({f"{n:03}.png": rows[n] for n in range(80)}, first_id=100),
        val=part({f"{n:03}.png": rows[n] for n in range(80, 100)}, first_id=300),
    )


def names(data: LabeledParts) -> dict[str, tuple[str, ...]]:
    return {name: one.names for name, one in data}


def taken(data: LabeledParts, **options: Any) -> Any:
    before = snapshot(data)
    result = subset_parts(data, SubsetOptions(**options))
    assert snapshot(data) == before
    return result


@pytest.mark.parametrize("per_class", [0, 3])
def test_a_larger_subset_contains_the_smaller_one(data: LabeledParts, per_class: int) -> None:
    before: set[tuple[str, str]] = set()
    for count in (1, 2, 5, 10, 33, 60, 100, 500):
        result = taken(data, images=count, per_class=per_class).data
        images = {(name, image) for name, one in result for image in one.names}
        assert before <= images
        if not per_class:
            assert len(images) == min(count, 100)
        before = images


def test_parts_stay_in_proportion_and_order(data: LabeledParts) -> None:
    result = taken(data, images=10).data
    assert {name: len(one) for name, one in result} == {"train": 8, "val": 2}
    assert all(list(one.names) == sorted(one.names) for _, one in result)
    assert {name: len(one) for name, one in taken(data, images=2).data} == {"train": 1, "val": 1}
    assert {name: len(one) for name, one in taken(data, fraction=0.5).data} == {"train": 40, "val": 10}
    assert {name: len(one) for name, one in taken(data, fraction=0.25, complete=("val",)).data} == {"train": 20, "val": 20}


def test_images_keep_their_ids_and_columns(data: LabeledParts) -> None:
    one = taken(data, images=30).data.parts["train"]
    for image_id, name, record in zip(one.data.records.image_ids, one.names, one.data.records, strict=True):
        original = data.parts["train"].data.records[int(image_id) - 100]
        assert name == original.path.name
        assert record.targets.labels.tolist() == original.targets.labels.tolist()
        assert record.targets.is_difficult.tolist() == original.targets.is_difficult.tolist()


def test_the_seed_takes_other_images(data: LabeledParts) -> None:
    assert names(taken(data, images=10).data) == names(taken(data, images=10).data)
    assert names(taken(data, images=10).data) != names(taken(data, images=10, seed=1).data)


def test_boxes_per_class(data: LabeledParts) -> None:
    result = taken(data, per_class=4)
    counts = {name: np.bincount(one.data.records.labels, minlength=3).tolist() for name, one in result.data}
    assert all(cats >= 4 and dogs >= 4 for cats, dogs, _ in counts.values())
    assert result.short == {"train": {"traffic light": 1}, "val": {"traffic light": 0}}
    assert "007.png" in result.data.parts["train"].names
    assert result.data.image_count < 16
    smaller = taken(data, per_class=2)
    assert all(set(one.names) <= set(result.data.parts[name].names) for name, one in smaller.data)
    larger = taken(data, per_class=4, images=40).data
    assert all(set(one.names) <= set(larger.parts[name].names) for name, one in result.data)
    assert larger.image_count == 40
    assert taken(data, per_class=4, images=1).data.image_count == result.data.image_count


def test_lists(data: LabeledParts) -> None:
    assert names(subset_of_ids(data, ["301", "100", "300"])) == {"train": ("000.png",), "val": ("080.png", "081.png")}
    assert names(subset_of_names(data, ["085.png"])) == {"val": ("085.png",)}


def test_errors(data: LabeledParts) -> None:
    with pytest.raises(ValueError, match="expected one of images, fraction"):
        taken(data)
    with pytest.raises(ValueError, match="expected one of images, fraction"):
        taken(data, images=3, fraction=0.5)
    with pytest.raises(ValueError, match="no part 'vall': did you mean 'val'"):
        taken(data, images=3, complete=("vall",))
    with pytest.raises(ValueError, match=r"no image with the name '85.png' \(and 1 more\): did you mean '085.png'"):
        subset_of_names(data, ["085.png", "85.png", "zz.png"])
    with pytest.raises(ValueError, match="no image with the id '7'"):
        subset_of_ids(data, ["7"])
    with pytest.raises(ValueError, match="the list has no ids"):
        subset_of_ids(data, [])
