"""Division of data sets: groups and copies are never parted, and classes are divided evenly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from duplicate_images import dataset, photographs, save

from detkit.curation.parts import LabeledParts, Part, read_parts
from detkit.curation.split.divide import Split, SplitOptions, split_parts
from detkit.curation.split.grouping import join_groups
from detkit.curation.split.stratify import Groups, fill_empty, in_order, stratified
from detkit.data import DetectionData
from detkit.data.records import ImageRecord
from detkit.structures import Targets


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's cache in a temporary folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def labeled(names: list[str], labels: list[list[int]], classes: int = 3) -> LabeledParts:
    """Return a data set of images that do not exist, with the given labels."""
    records = []
    for name, row in zip(names, labels, strict=True):
        boxes = torch.tensor([[1.0, 1.0, 9.0, 9.0]]).repeat(len(row), 1)
        records.append(ImageRecord(Path("/images") / name, name, (20, 20), Targets.of(boxes, torch.tensor(row, dtype=torch.int64))))
    data = DetectionData.of("set", [f"class{number}" for number in range(classes)], records)
    return LabeledParts("set", {"train": Part.of(replace(data, image_root="/images"))})


def part_of(split: Split) -> dict[str, str]:
    return {name: part_name for part_name, part in split.data for name in part.names}


def options(**values: object) -> SplitOptions:
    return SplitOptions(**{"duplicates": "ignore", **values})  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("stratify", [True, False])
def test_groups_are_never_parted(seed: int, stratify: bool) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(12, 150))
    keys = [None if rng.random() < 0.2 else f"g{rng.integers(0, count // 2)}" for _ in range(count)]
    copies = rng.integers(0, 2 * count, count)
    groups = join_groups(keys, copies)
    for same in (keys, copies.tolist()):
        first: dict[object, int] = {}
        for index, key in enumerate(same):
            if key is not None:
                assert groups[index] == groups[first.setdefault(key, index)]
    val, test = rng.uniform(0.05, 0.4, 2).tolist()
    _, rows = np.unique(groups, return_inverse=True)
    boxes = rng.integers(0, count, 6 * count)
    table = Groups.of(rows, rows[boxes], rng.integers(0, 4, len(boxes)), 4)
    fractions = np.array([1 - val - test, val, test])
    parts = fill_empty((stratified if stratify else in_order)(table, fractions), table, fractions)
    assert set(parts.tolist()) == {0, 1, 2}
    assert len(parts) == len(table)


def test_joined_keys_and_copies_are_as_fine_as_can_be() -> None:
    groups = join_groups(["a", "a", None, "b", None, "c"], np.array([0, 1, 1, 3, 4, 5]))
    assert groups.tolist() == [0, 0, 0, 3, 4, 5]
    assert join_groups([None, None], None).tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(10))
def test_folders_regex_and_copies_stay_together(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    names = [f"cam{rng.integers(0, 12)}/{index:03d}_scene{rng.integers(0, 40)}.png" for index in range(100)]
    data = labeled(names, [rng.integers(0, 3, rng.integers(0, 4)).tolist() for _ in names])
    for rule, key in (("folder", lambda name: name.split("/")[0]), (r"regex:_(scene\d+)\.", lambda name: name.split("_")[1])):
        split = split_parts(data, options(val=0.2, test=0.2, seed=seed, group_by=rule))
        parts = part_of(split)
        assert sorted(parts) == sorted(names)
        by_key: dict[str, set[str]] = {}
        for name, part in parts.items():
            by_key.setdefault(key(name), set()).add(part)
        assert all(len(group) == 1 for group in by_key.values())
        assert split.group_count == len(by_key)


def test_planted_copies_stay_together(tmp_path: Path) -> None:
    images = photographs()[:40]
    paths = [save(tmp_path / f"{number}.png", image) for number, image in enumerate(images)]
    paths += [save(tmp_path / f"copy{number}.jpg", images[number][:, ::-1], quality=60) for number in range(20)]
    data = dataset({"train": paths}, "copies")
    for seed in range(5):
        split = split_parts(data, SplitOptions(val=0.3, test=0.3, seed=seed))
        parts = part_of(split)
        assert all(parts[f"{number}.png"] == parts[f"copy{number}.jpg"] for number in range(20))
        assert (split.copies, split.group_count) == (20, 40)
    ignored = part_of(split_parts(data, options(val=0.3, test=0.3)))
    assert any(ignored[f"{number}.png"] != ignored[f"copy{number}.jpg"] for number in range(20))


def skewed(seed: int) -> LabeledParts:
    """Return 400 images with 12 classes whose frequencies fall from a half of all boxes to some ten."""
    rng = np.random.default_rng(seed)
    weights = 0.5 ** np.arange(12.0)
    rows = [rng.choice(12, rng.integers(0, 6), p=weights / weights.sum()).tolist() for _ in range(400)]
    rows += [[11]] * 4
    return labeled([f"{number}.png" for number in range(len(rows))], rows, 12)


@pytest.mark.parametrize("seed", range(4))
def test_stratification_beats_chance(seed: int) -> None:
    data = skewed(seed)
    wanted = np.array([[0.7], [0.15], [0.15]])
    errors = {}
    for stratify in (True, False):
        split = split_parts(data, options(val=0.15, test=0.15, seed=seed, stratify=stratify))
        counted = np.bincount(data.parts["train"].data.records.labels, minlength=12) >= 10  # fewer boxes cannot be divided evenly
        errors[stratify] = float(np.abs(split.class_shares() - wanted)[:, counted].mean())
        assert [len(part) / 404 for _, part in split.data] == pytest.approx([0.7, 0.15, 0.15], abs=0.03)
    assert errors[True] < 0.25 * errors[False]


@pytest.mark.parametrize("stratify", [True, False])
def test_the_division_does_not_depend_on_the_order_of_images(stratify: bool) -> None:
    data = skewed(0)
    part = data.parts["train"]
    mixed = replace(data, parts={"train": part.take(np.random.default_rng(5).permutation(len(part)).tolist())})
    choice = options(val=0.2, test=0.1, stratify=stratify, group_by=r"regex:^(\d)")
    assert part_of(split_parts(data, choice)) == part_of(split_parts(mixed, choice))
    other = part_of(split_parts(data, replace(choice, seed=1)))
    assert other != part_of(split_parts(data, choice))


def test_without_stratification_few_images_move_when_some_are_added() -> None:
    names = [f"{number}.png" for number in range(500)]
    before = part_of(split_parts(labeled(names[:480], [[0]] * 480), options(stratify=False)))
    after = part_of(split_parts(labeled(names, [[0]] * 500), options(stratify=False)))
    assert sum(before[name] != after[name] for name in before) < 10


def test_other_parts_are_kept_or_pooled() -> None:
    rows = labeled([f"{number}.png" for number in range(40)], [[0]] * 40).parts["train"]
    data = LabeledParts("set", {"train": rows.take(range(30)), "val": rows.take(range(30, 40))})
    kept = split_parts(data, options(val=0.0, test=0.2, parts=("train",)))
    assert {name: len(part) for name, part in kept.data} == {"train": 24, "test": 6, "val": 10}
    assert kept.data.parts["val"] is data.parts["val"]
    pooled = split_parts(data, options(val=0.5))
    assert {name: len(part) for name, part in pooled.data} == {"train": 20, "val": 20}
    assert pooled.pooled == ("train", "val")
    with pytest.raises(ValueError, match="its part 'val' is kept"):
        split_parts(data, options(val=0.2, parts=("train",)))
    with pytest.raises(ValueError, match="no part 'trian': did you mean"):
        split_parts(data, options(val=0.2, parts=("trian",)))


def test_images_in_several_parts_are_kept_once() -> None:
    rows = labeled([f"{number}.png" for number in range(20)], [[0]] * 20).parts["train"]
    split = split_parts(LabeledParts("set", {"train": rows, "val": rows.take(range(5))}), options(val=0.25))
    assert (split.repeated, split.data.image_count) == (5, 20)


def test_a_field_of_a_coco_file(tmp_path: Path) -> None:
    images = [{"id": 7 + n, "file_name": f"{n}.png", "width": 20, "height": 20, "video_id": n % 6} for n in range(30)]
    images[3]["video_id"] = None
    for image in images:
        save(tmp_path / "images" / str(image["file_name"]), np.zeros((20, 20, 3), np.uint8))
    annotations = [{"id": n, "image_id": 7 + n, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0} for n in range(30)]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "labels.json").write_text(json.dumps(content), "utf-8")
    data = read_parts(tmp_path / "labels.json")
    split = split_parts(data, options(val=0.3, group_by="video_id"))
    parts = part_of(split)
    assert (split.group_count, split.unmatched) == (7, 1)
    assert all(len({parts[f"{n}.png"] for n in range(30) if n % 6 == video and n != 3}) == 1 for video in range(6))
    with pytest.raises(ValueError, match="--group-by vidoe_id: no image in .* has this field: did you mean 'video_id'"):
        split_parts(data, options(group_by="vidoe_id"))


def test_what_cannot_be_grouped() -> None:
    data = labeled(["a.png", "b.png", "c.png"], [[0], [1], [2]])
    for rule, message in (
        ("folder", "all images are in one folder"),
        ("regex:(", "is not a regular expression"),
        ("regex:^x", "matches no image; expected a pattern in names such as 'a.png'"),
        ("video_id", "is not read from a COCO file"),
    ):
        with pytest.raises(ValueError, match=message):
            split_parts(data, options(group_by=rule))
    with pytest.raises(ValueError, match="expected at least 2 groups of images, one for each part, got 1"):
        split_parts(data, options(group_by=r"regex:\.(png)"))
    with pytest.raises(ValueError, match="whose sum is between 0 and 1, got val 0.5 and test 0.5"):
        options(val=0.5, test=0.5)


def test_small_data_gets_every_part() -> None:
    split = split_parts(labeled(["a.png", "b.png", "c.png"], [[0], [0], [0]]), options(val=0.1, test=0.1))
    assert {name: len(part) for name, part in split.data} == {"train": 1, "val": 1, "test": 1}


def test_ignore_regions_are_objects_of_no_class() -> None:
    names = [f"{number}.jpg" for number in range(40)]
    data = labeled(names, [[1 + number % 2] for number in range(40)])
    part = data.parts["train"]
    columns = {
        **part.data.records.columns,
        "is_ignore": np.arange(40) < 10,
        "labels": np.where(np.arange(40) < 10, 0, part.data.records.labels),
    }
    regions = replace(data, parts={"train": replace(part, data=replace(part.data, records=replace(part.data.records, columns=columns)))})
    shares = split_parts(regions, options(val=0.25)).class_shares()
    assert np.isnan(shares[:, 0]).all()
    np.testing.assert_allclose(shares[:, 1:].sum(axis=0), 1)
