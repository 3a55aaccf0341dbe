"""Pasting of masks against torchvision's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image

from detkit.arrays import Floats
from detkit.ops.masks.paste import paste_masks

SIZE = (90, 130)


def random_boxes(count: int, *, inside: bool) -> Floats:
    random = np.random.default_rng(0)
    centers, sides = random.random((count, 2)) * SIZE[::-1], random.random((count, 2)) ** 2 * SIZE[::-1]
    boxes = np.concatenate((centers - sides / 2, centers + sides / 2), 1).astype(np.float32)
    return np.clip(boxes, 0, [SIZE[1], SIZE[0]] * 2).astype(np.float32) if inside else boxes


@pytest.mark.oracle("torchvision", "pasting of masks", tolerance="up to 2 pixels at a probability of a half")
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("side", [28, 5])
def test_pixels_are_those_of_torchvision(inside: bool, side: int) -> None:
    boxes = random_boxes(60, inside=inside)
    probabilities = torch.rand((60, side, side), generator=torch.Generator().manual_seed(0))
    expected = (paste_masks_in_image(probabilities[:, None], torch.from_numpy(boxes), SIZE)[:, 0] > 0.5).numpy()
    masks = paste_masks(probabilities.numpy(), boxes, SIZE).arrays(SIZE)
    assert expected.any((1, 2)).sum() > 50
    assert (masks != expected).sum() <= 2, "more pixels differ than those with a probability of a half"


def test_a_mask_is_stored_for_its_box_only() -> None:
    masks = paste_masks(np.ones((1, 4, 4), np.float32), np.array([[100, 200, 110, 208]], np.float32), (10_000, 10_000))
    assert len(masks.bits) < 20
    assert np.abs(masks.boxes - [[100, 200, 110, 208]]).max() <= 1


def test_boxes_outside_of_the_image_and_no_boxes_give_empty_masks() -> None:
    outside = paste_masks(np.ones((2, 4, 4), np.float32), np.array([[-20, -20, -9, -9], [5, 50, 8, 60]], np.float32), (40, 40))
    assert outside.areas.tolist() == [0, 0]
    assert outside.present.all()
    assert len(paste_masks(np.zeros((0, 4, 4), np.float32), np.zeros((0, 4), np.float32), (40, 40))) == 0


def test_a_box_of_one_pixel() -> None:
    masks = paste_masks(np.ones((1, 4, 4), np.float32), np.array([[7, 9, 8, 10]], np.float32), (40, 40))
    assert masks.array(0, (40, 40))[9, 7]
    assert masks.areas[0] <= 4


def test_a_higher_threshold_gives_a_smaller_mask() -> None:
    hill = np.hypot(*np.mgrid[-1:1:8j, -1:1:8j])[None].astype(np.float32)
    boxes = np.array([[5, 5, 35, 35]], np.float32)
    low, high = (int(paste_masks(1.5 - hill, boxes, (40, 40), threshold).areas[0]) for threshold in (0.5, 0.9))
    assert 0 < high < low
