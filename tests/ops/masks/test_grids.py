"""Grids of mask probabilities over boxes that are clipped, joined or averaged."""

from __future__ import annotations

import numpy as np

from detkit.arrays import Floats
from detkit.ops.masks.grids import joined_grid, mean_grids, regrid
from detkit.ops.masks.paste import paste_masks

SIZE = (120, 160)


def disk(side: int = 28) -> Floats:
    """A disk that touches the edges of its box, with soft edges."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    return (1.5 - np.hypot(x, y)).clip(0, 1).astype(np.float32)


def overlap(first: Floats, second: Floats, boxes: tuple[list[float], list[float]]) -> float:
    """IoU of the pixels of two grids over their boxes."""
    one, two = (
        paste_masks(grid[None], np.array([box], np.float32), SIZE).array(0, SIZE) for grid, box in zip((first, second), boxes, strict=True)
    )
    return float((one & two).sum() / (one | two).sum())


def test_a_grid_over_a_larger_box_shows_the_same_pixels() -> None:
    box, larger = [40.0, 30.0, 100.0, 90.0], [30.0, 20.0, 120.0, 95.0]
    (moved,) = regrid(disk()[None], np.array([box], np.float32), np.array([larger], np.float32))
    assert overlap(disk(), moved, (box, larger)) > 0.94


def test_a_clipped_grid_shows_the_part_that_is_left() -> None:
    box, clipped = [-30.0, 30.0, 50.0, 110.0], [0.0, 30.0, 50.0, 110.0]
    (moved,) = regrid(disk()[None], np.array([box], np.float32), np.array([clipped], np.float32))
    assert overlap(disk(), moved, (box, clipped)) > 0.97
    assert overlap(disk(), disk(), (box, clipped)) < 0.9, "a grid that does not follow its box shows other pixels"


def test_a_grid_over_the_same_box_is_unchanged() -> None:
    boxes = np.array([[3, 4, 50, 60]], np.float32)
    assert np.array_equal(regrid(disk()[None], boxes, boxes + 0.001), disk()[None])
    assert regrid(disk()[None][:0], boxes[:0], boxes[:0]).shape == (0, 28, 28)


def test_halves_of_a_disk_join_to_the_disk() -> None:
    whole = np.array([[40, 30, 100, 90]], np.float32)
    halves = np.array([[40, 30, 75, 90], [65, 30, 100, 90]], np.float32)
    parts = regrid(np.repeat(disk()[None], 2, 0), np.repeat(whole, 2, 0), halves)
    joined = joined_grid(parts, halves, whole[0])
    assert overlap(disk(), joined, (whole[0].tolist(), whole[0].tolist())) > 0.95


def test_means_are_weighted_by_scores() -> None:
    grids = np.stack([np.zeros((2, 2)), np.ones((2, 2)), np.full((2, 2), 0.5)]).astype(np.float32)
    means = mean_grids(grids, np.array([0.1, 0.3, 0.9], np.float32), [np.array([0, 1]), np.array([2])])
    np.testing.assert_allclose(means[:, 0, 0], [0.75, 0.5], atol=1e-6)
    assert mean_grids(grids[:0], np.zeros(0, np.float32), []).shape == (0, 2, 2)
