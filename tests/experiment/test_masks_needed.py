"""A model that learns masks is not trained on boxes alone without a word."""

from __future__ import annotations

import logging

import pytest

from detkit import zoo
from detkit.data import DataConfig, SourceConfig
from detkit.data.synthetic import make_sample
from detkit.experiment.tasks import read_data


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, str]:
    folder = tmp_path_factory.mktemp("samples")
    for masks in (False, True):
        make_sample(folder / str(masks), images=3, val_images=2, short_side=96, masks=masks)
    return {masks: str(folder / str(masks)) for masks in (False, True)}


def data(path: str) -> DataConfig:
    return DataConfig(train=SourceConfig(path=path, split="train"), val=SourceConfig(path=path, split="val"))


def test_training_data_without_masks_is_an_error(samples: dict[bool, str]) -> None:
    config = zoo.load("mask_rcnn_sample").replace(data=data(samples[False]))
    with pytest.raises(ValueError, match=r"expected masks, which model\.kind=mask_rcnn needs, got \d+ boxes without; use data"):
        read_data(config)


def test_masks_for_training_are_enough(samples: dict[bool, str], caplog: pytest.LogCaptureFixture) -> None:
    both = data(samples[True])
    with caplog.at_level(logging.WARNING, "detkit"):
        train, _ = read_data(zoo.load("mask_rcnn_sample").replace(data=both.replace(val=data(samples[False]).val)))
    assert train.records.segmentations is not None
    assert "no mask" not in caplog.text


def test_a_detector_of_boxes_needs_none(samples: dict[bool, str]) -> None:
    read_data(zoo.load("quickstart").replace(data=data(samples[False])))
