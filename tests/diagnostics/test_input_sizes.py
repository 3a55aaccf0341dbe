"""Sizes of objects at the input of a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detkit.data import DetectionData
from detkit.data.records import ImageRecord
from detkit.diagnostics.input_sizes import input_sizes, larger_input
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets


def data(*images: tuple[tuple[int, int], list[int]]) -> DetectionData:
    """Return images of the given sizes with squares of the given sides."""
    records = []
    for number, (size, sides) in enumerate(images, 1):
        boxes = torch.tensor([[5, 5, 5 + side, 5 + side] for side in sides], dtype=torch.float32).reshape(-1, 4)
        targets = Targets.of(boxes, torch.zeros(len(boxes), dtype=torch.long))
        records.append(ImageRecord(Path(f"{number}.png"), number, size, targets))
    return DetectionData.of("made", ["thing"], records)


HALF = PreprocessConfig(short_side=300, long_side=400)


def test_sides_are_scaled_with_their_images() -> None:
    sizes = input_sizes(data(((600, 800), [10, 16, 40]), ((300, 400), [8])), HALF)
    assert sizes is not None
    assert (sizes.original, sizes.resized) == (13.0, 8.0)  # 5, 8, 20 and 8
    assert sizes.small == 0.75
    assert input_sizes(data(((600, 800), [])), HALF) is None


def test_a_larger_input_leaves_few_small_boxes() -> None:
    suggestion = larger_input(data(((600, 800), [12] * 10 + [100] * 90)), HALF)
    assert suggestion is not None
    config, sizes = suggestion
    assert (config.short_side, config.long_side) == (480, 640)  # 300 * 9 / 6 = 450, in steps of 32
    assert sizes.small == 0


def test_a_letterbox_grows_on_both_sides() -> None:
    letterbox = PreprocessConfig(rule="letterbox", input_size=(400, 416))
    suggestion = larger_input(data(((800, 800), [12] * 10 + [100] * 90)), letterbox)
    assert suggestion is not None
    assert suggestion[0].input_size == (608, 640)  # by 9 / 6
    assert suggestion[1].small == 0


def test_the_input_is_not_larger_than_the_images() -> None:
    suggestion = larger_input(data(((600, 800), [4] * 10 + [100] * 90)), HALF)
    assert suggestion is not None
    assert suggestion[0].short_side == 608
    assert suggestion[1].small == pytest.approx(0.1)
    assert larger_input(data(((300, 400), [4] * 10)), HALF) is None


@pytest.mark.parametrize("config", [HALF, PreprocessConfig(rule="fixed", input_size=(300, 300))])
def test_nothing_is_suggested_if_boxes_are_large_or_the_size_is_fixed(config: PreprocessConfig) -> None:
    sides = [100] * 10 if config is HALF else [10] * 10
    assert larger_input(data(((600, 800), sides)), config) is None
