"""Tiles drawn in training: right pixels under every box, every part of an image, and the promised fraction with objects."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detkit.config import ConfigError
from detkit.data.augment import AugmentationConfig, Augmenter
from detkit.data.loader import LoaderConfig, SampleBatch, build_loader
from detkit.data.records import DetectionData, ImageRecord, Records
from detkit.data.sources import DataConfig
from detkit.data.tiles import TileConfig, TileSampler, targets_of_tile
from detkit.ops.windows import Window
from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Targets

PLAIN = Augmenter(AugmentationConfig(preset="none", resize={"kind": "keep"}))
SIZE = (150, 210)


def coded(size: tuple[int, int], image: int) -> np.ndarray:
    """Return an image in which every pixel tells its image, row and column."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack([rows, columns, np.full_like(rows, image)], axis=2).astype(np.uint8)


def record(folder: Path, image: int, size: tuple[int, int], boxes: list[list[float]], crowds: list[bool] | None = None) -> ImageRecord:
    path = folder / f"{image}.png"
    cv2.imwrite(str(path), coded(size, image)[:, :, ::-1])
    crowd = torch.tensor(crowds or [False] * len(boxes), dtype=torch.bool)
    labels = torch.arange(len(boxes))
    return ImageRecord(path, image, size, Targets.of(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), labels, crowd))


@pytest.fixture
def data(tmp_path: Path) -> DetectionData:
    """Four images: three objects and a crowd, none, none and small, and one object larger than a tile beside a small one."""
    rows = [
        record(tmp_path, 0, SIZE, [[10, 10, 22, 22], [100, 70, 130, 80], [180, 120, 205, 148], [60, 0, 90, 150]], [False] * 3 + [True]),
        record(tmp_path, 1, SIZE, []),
        record(tmp_path, 2, (50, 40), []),
        record(tmp_path, 3, SIZE, [[0, 0, 210, 150], [50, 60, 70, 90]]),
    ]
    return DetectionData.of("images", ("a", "b", "c", "d"), rows)


def batches(data: DetectionData, tiles: TileConfig, steps: int, augmenter: Augmenter = PLAIN, **options: object) -> list[SampleBatch]:
    config = LoaderConfig(batch_size=4, **{"workers": 0, **options.pop("loader", {})})
    sampler = TileSampler(data.records, tiles, options.get("is_labeled"))
    return list(build_loader(data, augmenter, config, seed=1, stop_step=steps, tiles=sampler, **options))


def assert_same(one: SampleBatch, other: SampleBatch) -> None:
    assert (one.paths, one.seeds) == (other.paths, other.seeds)
    for pairs in (zip(one.images, other.images, strict=True), zip(one.targets, other.targets, strict=True)):
        for left, right in pairs:
            left, right = (item if isinstance(item, torch.Tensor) else item.boxes for item in (left, right))
            torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_boxes_of_tiles_are_on_the_pixels_they_had_in_the_image(data: DetectionData) -> None:
    tiles = TileConfig(size=64, whole=0.2, min_visibility=0.5)
    objects = partial = 0
    for batch in batches(data, tiles, 60):
        for image, targets, image_id in zip(batch.images, batch.targets, batch.image_ids, strict=True):
            record = data.records[int(image_id)]
            y, x = int(image[0, 0, 0]), int(image[1, 0, 0])
            height, width = image.shape[1:]
            assert (height, width) == (64, 64) or (height, width) == record.size
            expected = coded(record.size, int(image_id))[y : y + height, x : x + width]
            np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)
            corner = torch.tensor([x, y, x, y])
            for box, label, crowd, area in zip(targets.boxes, targets.labels, targets.is_crowd, targets.areas, strict=True):
                whole = record.targets.boxes[label] - corner
                limits = torch.tensor([width, height, width, height])
                torch.testing.assert_close(box, whole.clamp(min=0).minimum(limits))
                visible = float(area / record.targets.areas[label])
                torch.testing.assert_close(area, (box[2] - box[0]) * (box[3] - box[1]))
                assert bool(crowd) == (bool(record.targets.is_crowd[label]) or visible < 0.5)
                objects += not crowd
                partial += bool(crowd) and not record.targets.is_crowd[label]
    assert objects > 50
    assert partial > 20


def test_every_object_and_region_that_reaches_into_a_tile_is_kept() -> None:
    targets = Targets.of(torch.tensor([[0.0, 0, 10, 10], [8, 0, 20, 10], [9.5, 0, 19.5, 10], [30, 30, 40, 40]]), torch.arange(4))
    rows, shown, partial = targets_of_tile(targets, Window(0, 0, 10, 50), 0.15)
    assert (rows.labels.tolist(), rows.is_crowd.tolist()) == ([0, 1, 2], [False, False, True])
    assert (shown.tolist(), partial.tolist()) == ([True, True, False, False], [False, False, True, False])
    assert not rows.is_ignore.any()
    dropped = targets_of_tile(targets, Window(0, 0, 10, 50), 0.15, keeps_partial=False).targets
    assert dropped.labels.tolist() == [0, 1]


def test_every_part_of_an_image_is_drawn_and_borders_nearly_as_often() -> None:
    records = Records.of([ImageRecord(Path("a"), 0, (100, 190), Targets.empty())])
    sampler, random = TileSampler(records, TileConfig(size=32, whole=0.0)), np.random.default_rng(0)
    counts = np.zeros((100, 190))
    for _ in range(2000):
        x1, y1, x2, y2 = sampler.draw(0, random)
        assert 0 <= x1 < x2 <= 190
        assert 0 <= y1 < y2 <= 100
        assert (x2 - x1, y2 - y1) == (32, 32)
        counts[y1:y2, x1:x2] += 1
    assert counts.min() > 0.1 * counts.mean()
    assert counts.max() < 3 * counts.mean()


def test_tiles_drawn_for_objects_show_them(data: DetectionData) -> None:
    sampler, random = TileSampler(data.records, TileConfig(size=40, with_objects=1.0, whole=0.0)), np.random.default_rng(0)
    assert sampler.fitting.tolist() == [True, True, True, False, False, True]
    shown = set()
    for index in [0, 3] * 100:
        targets = targets_of_tile(data.records[index].targets, sampler.draw(index, random), 0.3).targets
        seen = targets.labels[~targets.is_crowd].tolist()
        assert seen
        shown |= {(index, label) for label in seen}
    assert shown == {(0, 0), (0, 1), (0, 2), (3, 1)}


def test_an_epoch_has_the_tiles_of_each_image_and_enough_with_objects(data: DetectionData) -> None:
    sampler = TileSampler(data.records, TileConfig(size=64, overlap=0.0, with_objects=0.0))
    assert sampler.counts.tolist() == sampler.repeats.tolist() == [12, 12, 1, 12]
    assert sampler.around_object == 0
    sampler = TileSampler(data.records, TileConfig(size=64, overlap=0.0, with_objects=0.9))
    assert sampler.around_object == 1
    assert sampler.repeats[[0, 3]].tolist() == [12, 12]
    assert sampler.repeats[[0, 3]].sum() / sampler.repeats.sum() == pytest.approx(0.9)
    labeled = np.array([True, False, True, True])
    partly = TileSampler(data.records, TileConfig(size=64, overlap=0.0, with_objects=0.9), labeled)
    assert (partly.repeats[1], partly.around_object) == (12, pytest.approx(0.9 * 25 / 24))
    loader = build_loader(data, PLAIN, LoaderConfig(batch_size=4, workers=0), tiles=sampler)
    assert loader.plan.steps_per_epoch == 7  # of 4 samples, for 24 tiles with objects and 2.67 others
    assert len({key for step in range(7) for key in loader.plan.batch(step)}) == 28


@pytest.mark.parametrize("fraction", [0.5, 0.95])
def test_the_fraction_of_samples_with_objects_is_kept(data: DetectionData, fraction: float) -> None:
    drawn = batches(data, TileConfig(size=48, with_objects=fraction, whole=0.0), 150)
    shown = [bool((~targets.is_crowd).any()) for batch in drawn for targets in batch.targets]
    assert np.mean(shown) > fraction - 0.06


def test_samples_depend_on_nothing_but_their_key(data: DetectionData) -> None:
    tiles, augmenter = TileConfig(size=64), Augmenter(AugmentationConfig(preset="yolox"), PreprocessConfig(short_side=40, long_side=80))
    expected = batches(data, tiles, 6, augmenter)
    assert all(image.shape == (3, 40, 40) for batch in expected for image in batch.images)
    for loader in ({"workers": 1}, {"cache_megabytes": 0.1}, {"workers": 1, "cache_megabytes": 1.0}):
        for one, other in zip(expected, batches(data, tiles, 6, augmenter, loader=loader), strict=True):
            assert_same(one, other)
    for one, other in zip(expected[4:], batches(data, tiles, 6, augmenter, start_step=4), strict=True):
        assert_same(one, other)
    halves = [batches(data, tiles, 6, augmenter, rank=rank, world=2) for rank in (0, 1)]
    for step, whole in enumerate(expected):
        assert halves[0][step].seeds + halves[1][step].seeds == whole.seeds[::2] + whole.seeds[1::2]
        assert torch.equal(halves[1][step].images[1], whole.images[3])
    assert len({seed for batch in expected for seed in batch.seeds}) == 24


def test_proposals_are_those_of_the_tile(data: DetectionData) -> None:
    def propose(record: ImageRecord, image: np.ndarray) -> Proposals:
        y, x, _ = image[0, 0].tolist()
        height, width = image.shape[:2]
        return Proposals(torch.tensor([[x / 8, y / 8, width, height]], dtype=torch.float32), torch.ones(1))

    sizes = set()
    for batch in batches(data, TileConfig(size=64), 8, proposals=propose):
        for image, proposals in zip(batch.images, batch.proposals, strict=True):
            height, width = image.shape[1:]
            assert proposals.boxes.tolist() == [[int(image[1, 0, 0]) / 8, int(image[0, 0, 0]) / 8, width, height]]
            sizes.add((height, width))
    assert sizes == {SIZE, (64, 64)}


def test_images_are_drawn_for_mosaics_in_proportion_to_their_tiles(data: DetectionData) -> None:
    sampler, random = TileSampler(data.records, TileConfig(size=64, overlap=0.0, with_objects=0.0)), np.random.default_rng(0)
    counts = np.bincount([sampler.draw_image(random) for _ in range(2000)], minlength=4)
    assert np.abs(counts / 2000 - np.array([12, 12, 1, 12]) / 37).max() < 0.05
    some = {sampler.draw_image(random, np.array([1, 3])) for _ in range(50)}
    assert some == {1, 3}


def test_images_without_objects_and_small_ones(tmp_path: Path) -> None:
    data = DetectionData.of(
        "empty", ("a",), [record(tmp_path, 0, SIZE, []), record(tmp_path, 1, (30, 200), []), record(tmp_path, 2, (9, 9), [])]
    )
    sampler = TileSampler(data.records, TileConfig(size=64))
    assert sampler.repeats.tolist() == [12, 4, 1]
    shapes = {tuple(image.shape[1:]) for batch in batches(data, TileConfig(size=64, whole=0.0), 12) for image in batch.images}
    assert shapes == {(64, 64), (30, 64), (9, 9)}
    assert "2 of 3 images are larger; 17 samples per epoch" in sampler.describe()


def test_the_setting_takes_a_number_and_refuses_impossible_ones() -> None:
    config = DataConfig(tiles=320)
    assert config.tiles == TileConfig(size=320)
    assert DataConfig.from_json(config.to_json()) == config
    assert DataConfig().tiles is None
    for values, expected in (
        ({"size": 8}, "size: expected greater than or equal to 32, got 8"),
        ({"whole": 1.0}, "whole: expected less than 1, got 1.0"),
        ({"overlap": 1.0}, "overlap: expected less than 1"),
        ({"with_objects": 1.2}, "with_objects: expected less than or equal to 1"),
        ({"min_visibility": 0.0}, "min_visibility: expected greater than 0"),
    ):
        with pytest.raises(ConfigError, match=expected):
            TileConfig(**values)
    with pytest.raises(ConfigError, match=r"tiles\.size: expected a whole number, got '640 pixels'"):
        DataConfig(tiles={"size": "640 pixels"})
