from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detkit.data.augment import AugmentationConfig, Augmenter
from detkit.data.augment.config import FixedSizeConfig
from detkit.data.augment.transforms import MosaicConfig, ZoomOutConfig
from detkit.data.loader import LoaderConfig, build_loader
from detkit.data.phases import Phase, PhasedBatches
from detkit.data.records import DetectionData, ImageRecord
from detkit.structures import Targets

GRAY = 200
"""Color of the images; zoom-out fills with white and mosaics with black."""


def _counting(name: str, log: list[str]) -> Phase[str]:
    def batches(start: int) -> Iterator[str]:
        log.append(f"{name} starts at {start}")
        try:
            for index in range(start, 100):
                yield f"{name}{index}"
        finally:
            log.append(f"{name} ends")

    return Phase({"a": 0.0, "b": 0.5, "c": 0.75}[name], batches, name)


def test_a_phase_starts_exactly_at_its_step_and_ends_the_previous_one(caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    batches = PhasedBatches([_counting(name, log) for name in "abc"])
    with caplog.at_level(logging.INFO, "detkit.data"):
        got = [batches.next(index, index / 8) for index in range(8)]
    assert got == ["a0", "a1", "a2", "a3", "b4", "b5", "c6", "c7"]
    assert log == ["a starts at 0", "a ends", "b starts at 4", "b ends", "c starts at 6"]
    assert caplog.messages == ["0 % of the training: a", "50 % of the training: b", "75 % of the training: c"]
    resumed = PhasedBatches([_counting(name, log) for name in "abc"])
    assert [resumed.next(index, index / 8) for index in range(5, 8)] == got[5:]
    skipping = PhasedBatches([_counting(name, log) for name in "abc"])  # a budget may pass over a short phase
    assert [skipping.next(index, progress) for index, progress in enumerate((0.0, 0.4, 0.8, 1.0))] == ["a0", "a1", "c2", "c3"]


def test_batches_without_phases_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "detkit.data"):
        batches = PhasedBatches([_counting("a", [])])
        assert [batches.next(index, index / 2) for index in range(2)] == ["a0", "a1"]
    assert not caplog.messages


@pytest.fixture
def data(tmp_path: Path) -> DetectionData:
    """Six gray images with one object each."""
    records = []
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 32, 3), GRAY, np.uint8))
        targets = Targets.of(torch.tensor([[4.0, 4, 28, 28]]), torch.tensor([0]))
        records.append(ImageRecord(tmp_path / f"{number}.png", number, (32, 32), targets))
    return DetectionData.of("images", ("thing",), records)


CONFIG = AugmentationConfig(
    preset="none",
    mosaic=MosaicConfig(size=(32, 32), scale=(0.4, 0.4), fill=0, between=(0.25, 0.5)),
    zoom_out=ZoomOutConfig(probability=1.0, max_scale=4.0, fill=(255, 255, 255), between=(0.25, 0.75)),
    resize=FixedSizeConfig(size=(32, 32)),
)
STEPS = 8


def _batches(data: DetectionData, workers: int) -> PhasedBatches:
    loader = LoaderConfig(batch_size=3, workers=workers)
    augmenters = [(start, Augmenter(CONFIG.at(start))) for start in (0.0, *CONFIG.changes)]

    def phase(start: float, augmenter: Augmenter) -> Phase:
        return Phase(start, lambda step: build_loader(data, augmenter, loader, start_step=step))

    return PhasedBatches([phase(start, augmenter) for start, augmenter in augmenters])


@pytest.mark.parametrize("workers", [0, 2])
def test_which_images_are_augmented_at_which_step(data: DetectionData, workers: int) -> None:
    assert CONFIG.changes == (0.25, 0.5, 0.75)
    batches = _batches(data, workers)
    steps = [batches.next(step, step / STEPS) for step in range(STEPS)]
    mosaics = [[bool((image == 0).any()) for image in batch.images] for batch in steps]
    zoomed = [[bool((image == 255).any()) for image in batch.images] for batch in steps]
    assert mosaics == [[step in {2, 3}] * 3 for step in range(STEPS)]
    assert zoomed == [[step in {2, 3, 4, 5}] * 3 for step in range(STEPS)]
    assert [len(targets) for batch in steps for targets in batch.targets if len(targets) > 1]  # mosaics have several objects
    images = [image_id for batch in steps for image_id in batch.image_ids]
    assert all(sorted(images[start : start + 6]) == list(range(6)) for start in range(0, 24, 6))  # no image is lost at a change
    for first in (1, 2, 3, 5, 6):  # resumed anywhere
        resumed = _batches(data, 0)
        for step in range(first, STEPS):
            again = resumed.next(step, step / STEPS)
            assert all(torch.equal(one, two) for one, two in zip(again.images, steps[step].images, strict=True))
