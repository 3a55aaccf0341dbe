"""Mask targets against torchvision's ``roi_align``."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from torchvision.ops import roi_align

from detkit.arrays import Flags, Floats, Integers
from detkit.ops.masks.targets import mask_targets
from detkit.structures.masks import Masks

SIZE = (90, 130)


def random_masks(count: int) -> Flags:
    """Noise in a rectangle each; the second is empty, and the third touches all edges of the image."""
    random, masks = np.random.default_rng(0), np.zeros((count, *SIZE), np.bool_)
    for mask in masks:
        y, x = random.integers(0, SIZE[0] - 1), random.integers(0, SIZE[1] - 1)
        part = mask[y : y + random.integers(1, 70), x : x + random.integers(1, 90)]
        part[:] = random.random(part.shape) > 0.4
    masks[1], masks[2] = False, True
    return masks


def expected(masks: Flags, rows: Integers, boxes: Floats, side: int) -> Floats:
    """The targets that torchvision's loss makes."""
    regions = torch.cat((torch.from_numpy(rows)[:, None].float(), torch.from_numpy(boxes)), 1)
    return roi_align(torch.from_numpy(masks)[:, None].float(), regions, (side, side), 1.0)[:, 0].numpy()


@pytest.mark.oracle("torchvision", "mask targets", tolerance="2e-4")
@pytest.mark.parametrize("side", [28, 7])
def test_targets_are_those_of_torchvision(side: int) -> None:
    random, masks = np.random.default_rng(1), random_masks(9)
    rows = random.integers(0, 9, 150)
    centers, sides = random.random((150, 2)) * SIZE[::-1], random.random((150, 2)) ** 2 * SIZE[::-1]
    boxes = np.concatenate((centers - sides / 2, centers + sides / 2), 1).astype(np.float32)
    boxes[:4] = [[0, 0, 130, 90], [128, 88, 130, 90], [5, 5, 5, 5], [-3, -3, 140, 95]]
    targets = mask_targets(Masks.of_arrays(masks), rows, boxes, SIZE, side)
    np.testing.assert_allclose(targets, expected(masks, rows, boxes, side), atol=2e-4)
    assert 0.02 < targets.mean() < 0.9


def test_without_boxes() -> None:
    assert mask_targets(Masks.none(0), np.zeros(0, np.int64), np.zeros((0, 4), np.float32), SIZE, 14).shape == (0, 14, 14)


def test_five_hundred_objects_take_the_memory_of_a_few() -> None:
    """As arrays of the whole image they would take 960 MB; the targets themselves take 3 MB."""
    random = np.random.default_rng(0)
    corners = random.integers(0, 500, (500, 2))
    masks = Masks.of([(np.ones((60, 70), np.bool_), int(x), int(y)) for x, y in corners])
    boxes = (masks.boxes + random.normal(0, 3, (500, 4))).astype(np.float32)
    tracemalloc.start()
    mask_targets(masks, np.arange(500), boxes, (600, 800), 28)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6
