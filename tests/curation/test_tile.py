"""Tiles: every box in one, inside the image it came from, and what happens to the rest."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from labeled_parts import CLASSES, Row, diamond, part, parts, snapshot

from detkit.curation import tile
from detkit.curation.outlines import clip_polygon
from detkit.curation.parts import LabeledParts, Part
from detkit.curation.tile import TileOptions, tile_parts
from detkit.data import DetectionData, ImageRecord
from detkit.ops.windows import Window


def tiled(data: LabeledParts, size: tuple[int, int] = (50, 50), **options: Any) -> Any:
    before = snapshot(data)
    result = tile_parts(data, TileOptions(size=size, **options))
    assert snapshot(data) == before
    return result


def one_image(*rows: Row, size: tuple[int, int] = (50, 90), name: str = "sub/a.jpg") -> LabeledParts:
    return parts(train=part({name: rows}, size))


def test_names_ids_and_windows() -> None:
    train = tiled(one_image(size=(50, 90))).data.parts["train"]
    assert train.names == ("sub/a_0_0.png", "sub/a_40_0.png")
    assert train.data.records.image_ids == ("1_0_0", "1_40_0")
    assert train.data.records.paths == ("/data/sub/a.jpg",) * 2
    assert [record.window for record in train.data.records] == [Window(0, 0, 50, 50), Window(40, 0, 90, 50)]
    assert train.data.records.sizes.tolist() == [[50, 50]] * 2
    assert tiled(one_image(), extension=None).data.parts["train"].names[0] == "sub/a_0_0.jpg"


def test_names_stay_different_where_only_the_extensions_were() -> None:
    data = parts(train=part({"a.jpg": [], "a.png": [], "b.png": []}, (50, 90)))
    names = tiled(data).data.parts["train"].names
    assert names == ("a.jpg_0_0.png", "a.jpg_40_0.png", "a.png_0_0.png", "a.png_40_0.png", "b_0_0.png", "b_40_0.png")


def test_small_images_stay_whole() -> None:
    data = parts(train=part({"a.png": [(0, (1, 2, 9, 9), "dc")]}, (50, 50)))
    result = tiled(data)
    train = result.data.parts["train"]
    assert (train.names, train.data.records.image_ids, train.data.records.windows) == (("a.png",), (1,), None)
    assert result.counts == {tile.WHOLE_IMAGES: 1}


def test_low_images_are_cut_in_one_direction() -> None:
    records = tiled(one_image(size=(20, 90))).data.parts["train"].data.records
    assert records.sizes.tolist() == [[20, 50], [20, 50]]


def test_boxes_are_clipped_by_visibility() -> None:
    whole, cut, sliver = (5, 5, 25, 15), (30, 10, 60, 20), (48, 30, 68, 40)  # in the tiles 0 to 50 and 40 to 90
    result = tiled(one_image((0, whole, "d"), (1, cut), (2, sliver)))
    left, right = result.data.parts["train"].data.records
    assert left.targets.boxes.tolist() == [[5, 5, 25, 15], [30, 10, 50, 20], [48, 30, 50, 40]]
    assert left.targets.is_crowd.tolist() == [False, False, True]
    assert left.targets.is_difficult.tolist() == [True, False, False]
    assert left.targets.labels.tolist() == [0, 1, 2]
    torch.testing.assert_close(left.targets.areas, torch.tensor([200.0, 200.0, 20.0]))
    assert right.targets.boxes.tolist() == [[0, 10, 20, 20], [8, 30, 28, 40]]
    assert not right.targets.is_crowd.any()
    assert result.counts == {tile.CUT_IMAGES: 1, tile.PARTIAL_BOXES: 1}


def test_boxes_of_which_too_little_is_visible_can_be_dropped() -> None:
    result = tiled(one_image((0, (48, 30, 68, 40))), partial="drop")
    assert result.data.parts["train"].data.records.lengths.tolist() == [0, 1]


def test_crowds_stay_however_little_is_visible() -> None:
    result = tiled(one_image((0, (48, 0, 90, 40), "c")), partial="drop")
    assert result.data.parts["train"].data.records.is_crowd.tolist() == [True, True]
    assert result.counts == {tile.CUT_IMAGES: 1}


def test_objects_larger_than_what_tiles_show_are_counted() -> None:
    result = tiled(one_image((0, (0, 0, 90, 50))), min_visibility=0.6)
    assert result.counts[tile.UNSEEN_BOXES] == 1
    assert result.data.parts["train"].data.records.is_crowd.all()


@pytest.mark.parametrize(("empty", "kept"), [(1.0, 10), (0.0, 2), (0.5, 6), (0.25, 4)])
def test_tiles_without_objects(empty: float, kept: int) -> None:
    rows: list[Row] = [(0, (2, 2, 9, 9)), (1, (60, 0, 90, 9), "c")]  # the second tile of the first image has a crowd only
    data = parts(train=part({"a.png": rows, "b.png": rows, **{f"{n}.png": [] for n in range(3)}}, (50, 90)))
    result = tiled(data, empty=empty)
    assert len(result.data.parts["train"]) == kept
    assert {"a_0_0.png", "b_0_0.png"} <= set(result.data.parts["train"].names)
    assert result.counts.get(tile.EMPTY_TILES, 0) == 10 - kept


def test_windows_compose() -> None:
    record = ImageRecord(
        Path("/data/a.png"), "w", (50, 90), part({"a": [(0, (45, 5, 55, 15))]}).data.records[0].targets, Window(100, 200, 190, 250)
    )
    data = parts(train=Part(DetectionData.of("data", CLASSES, [record], (3, 5, 10)), ("a.png",)))
    records = tiled(data).data.parts["train"].data.records
    assert [record.window for record in records] == [Window(100, 200, 150, 250), Window(140, 200, 190, 250)]
    again = tile_parts(parts(train=tiled(data).data.parts["train"]), TileOptions(size=(50, 30), overlap=0)).data.parts["train"]
    assert again.data.records[3].window == Window(160, 200, 190, 250)
    assert again.names[3] == "a_40_0_20_0.png"


def test_a_mask_of_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"sub/a\.jpg: run lengths of a mask: expected those of an image of 90 x 50 pixels .*, got 9 x 9"):
        tiled(one_image((1, (30.0, 10.0, 60.0, 30.0), "m")))


def test_outlines_are_clipped() -> None:
    box = (30.0, 10.0, 60.0, 30.0)
    result = tiled(one_image((0, box, "p"), (2, box)), min_visibility=0)
    left, right = result.data.parts["train"].data.records
    assert left.targets.segmentations is not None
    assert left.targets.segmentations.present.tolist() == [True, False]
    (polygon,) = left.targets.segmentations.polygons(0) or ()
    assert polygon[:, 0].max() == 50
    assert right.targets.segmentations is not None
    (other,) = right.targets.segmentations.polygons(0) or ()
    assert (other.min(0).tolist(), other.max(0).tolist()) == ([0.0, 10.0], [20.0, 30.0])


def area(polygon: np.ndarray[Any, Any]) -> float:
    x, y = polygon.astype(float).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def test_clipped_polygons() -> None:
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)
    clipped = clip_polygon(square, Window(2, 3, 20, 20))
    assert (clipped.min(0).tolist(), clipped.max(0).tolist(), area(clipped)) == ([0, 0], [8, 7], pytest.approx(56))
    assert len(clip_polygon(square, Window(20, 20, 30, 30))) == 0
    assert area(clip_polygon(diamond((0, 0, 20, 20)), Window(0, 0, 10, 20))) == pytest.approx(100)
    comb = np.array([[0, 0], [30, 0], [30, 30], [20, 30], [20, 10], [10, 10], [10, 30], [0, 30]], np.float32)
    assert area(clip_polygon(comb, Window(0, 15, 30, 30))) == pytest.approx(300)


def test_errors() -> None:
    with pytest.raises(ValueError, match="overlap: expected a number from 0 to below 1, got 1"):
        tiled(one_image(), overlap=1.0)
    with pytest.raises(ValueError, match="min_visibility: expected a number from 0 to 1, got 2"):
        tiled(one_image(), min_visibility=2)
    with pytest.raises(ValueError, match="size: expected 1 pixel or more"):
        tiled(one_image(), (0, 10))
    with pytest.raises(ValueError, match="no tile has an object"):
        tiled(one_image(), empty=0.0)


def random_part(seed: int) -> Part:
    random = np.random.default_rng(seed)
    images: dict[str, list[Row]] = {}
    size = (int(random.integers(30, 400)), int(random.integers(30, 400)))
    for number in range(4):
        low = random.uniform(0, 1, (20, 2)) * (size[1] - 25, size[0] - 25)
        boxes = np.concatenate([low, low + random.uniform(2, 25, (20, 2))], 1)
        images[f"{number}.png"] = [(int(random.integers(3)), tuple(box)) for box in boxes.tolist()]
    return part(images, size)


@pytest.mark.parametrize("seed", range(12))
def test_every_small_box_is_whole_in_a_tile_and_tiles_show_the_image(seed: int) -> None:
    one = random_part(seed)
    options = TileOptions(size=(100, 100), overlap=0.26)
    result = tile_parts(parts(train=one), options)
    records = result.data.parts["train"].data.records
    covered = {path: np.zeros(size, bool) for path, size in zip(one.data.records.paths, one.data.records.sizes.tolist(), strict=True)}
    whole: dict[str, list[list[float]]] = {path: [] for path in covered}
    for record in records:
        height, width = covered[str(record.path)].shape
        window = record.window or Window(0, 0, width, height)
        covered[str(record.path)][window.y1 : window.y2, window.x1 : window.x2] = True
        assert record.size == window.size
        assert max(record.size) <= 100
        boxes = record.targets.boxes + torch.tensor([window.x1, window.y1] * 2)
        assert bool((boxes >= 0).all())
        assert bool((boxes[:, 2] <= width).all())
        assert bool((boxes[:, 3] <= height).all())
        assert bool((record.targets.boxes[:, 2:] > record.targets.boxes[:, :2]).all())
        whole[str(record.path)] += boxes[~record.targets.is_crowd].tolist()
    assert all(image.all() for image in covered.values())
    for record in one.data.records:  # boxes are smaller than the overlap
        found = np.array(whole[str(record.path)])
        differences = np.abs(found[:, None] - record.targets.boxes.numpy()).max(2)
        assert (differences.min(0) < 1e-3).all()
    assert tile.UNSEEN_BOXES not in result.counts


def test_tiles_of_an_image_follow_one_another() -> None:
    """So that each image is decoded once."""
    paths = tile_parts(parts(train=random_part(1)), TileOptions(size=(40, 40), empty=0.5)).data.parts["train"].data.records.paths
    changes = sum(first != second for first, second in pairwise(paths))
    assert changes == len(set(paths)) - 1


def test_the_class_list_and_category_ids_stay() -> None:
    data = one_image((2, (5, 5, 20, 20)))
    result = tiled(data).data
    assert (result.class_names, result.category_ids) == (data.class_names, data.category_ids)
    assert replace(result, parts=data.parts).class_names == data.class_names
