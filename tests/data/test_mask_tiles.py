"""Masks in samples that are tiles of larger images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detkit.data import DetectionData, make_sample, read_source
from detkit.data.augment import Augmenter
from detkit.data.augment.config import AugmentationConfig
from detkit.data.dataset import DetectionDataset
from detkit.data.mask_pixels import mask_pixels
from detkit.data.tiles import TileConfig, TileSampler
from detkit.ops.windows import Window

PLAIN: dict[str, Any] = {"preset": "none", "resize": {"kind": "keep"}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DetectionData:
    return read_source(make_sample(tmp_path_factory.mktemp("tiles") / "sample", 6, seed=2, short_side=96, val_images=1, masks=True).train)


def dataset(data: DetectionData, **augmentation: Any) -> DetectionDataset:
    tiles = TileSampler(data.records, TileConfig(size=48, whole=0.0))
    augmenter = Augmenter(AugmentationConfig.model_validate({**PLAIN, **augmentation}))
    return DetectionDataset(data.records, augmenter, tiles=tiles, masks=True)


def test_a_tile_has_the_parts_of_the_masks_that_it_shows(data: DetectionData) -> None:
    seen = 0
    for index, record in enumerate(data.records):
        whole = mask_pixels(record.targets.segmentations, len(record.targets), record.size).arrays(record.size)
        for x, y in ((0, 0), (30, 20), (record.size[1] - 48, record.size[0] - 48)):
            window = Window(x, y, x + 48, y + 48)
            targets = dataset(data).image(index, window).targets
            assert targets.masks is not None
            expected = whole[:, y : y + 48, x : x + 48]
            shown = targets.masks.arrays((48, 48))
            assert len(shown) <= len(expected)
            for mask in shown:
                assert any(np.array_equal(mask, other) for other in expected)
            seen += len(shown)
    assert seen > 5


@pytest.mark.parametrize("augmentation", [{}, {"quarter_turns": 1.0}, {"rotation": {"probability": 1.0}}, {"crop": {"probability": 1.0}}])
def test_boxes_of_tiles_are_those_of_their_masks(augmentation: dict[str, Any], data: DetectionData) -> None:
    samples, seen = dataset(data, **augmentation), 0
    for epoch in range(3):
        for index in range(len(data)):
            targets = samples[(epoch, index)].targets
            assert targets.masks is not None
            objects = ~targets.is_crowd.numpy()
            difference = np.abs(targets.boxes.numpy() - targets.masks.boxes)[objects]
            assert difference.max(initial=0) <= 1.01
            seen += len(difference)
    assert seen > 6
