"""Windows of an image, and the rule for how much of a box a window must show."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from detkit.ops.windows import (
    Window,
    boxes_in_window,
    cover,
    cover_by_factor,
    is_cut,
    is_visible,
    kept_fraction,
    shift_boxes,
    windows_per_side,
)


@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (100, 4000), (7, 9)])
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5])
def test_windows_cover_every_pixel_and_overlap_enough(size: tuple[int, int], overlap: float) -> None:
    window = (160, 320)
    windows = cover(size, window, overlap)
    covered = torch.zeros(size, dtype=torch.bool)
    for row in windows:
        assert row.size == window
        assert row.x2 <= max(size[1], window[1])
        assert row.y2 <= max(size[0], window[0])
        covered[row.y1 : row.y2, row.x1 : row.x2] = True
    assert covered.all()
    for axis, side in ((0, window[1]), (1, window[0])):
        starts = sorted({row[axis] for row in windows})
        assert all(after - before <= side * (1 - overlap) + 1 for before, after in itertools.pairwise(starts))


def test_an_image_that_fits_needs_one_window() -> None:
    assert cover((100, 100), (100, 100), 0.2) == [Window(0, 0, 100, 100)]
    assert cover((50, 60), (100, 100), 0.2) == [Window(0, 0, 100, 100)]
    assert windows_per_side(1.0, 0.9) == 1


def test_a_factor_gives_windows_of_the_image_divided_by_it() -> None:
    assert cover_by_factor((100, 200), 2, 0.0) == [
        Window(0, 0, 100, 50),
        Window(100, 0, 200, 50),
        Window(0, 50, 100, 100),
        Window(100, 50, 200, 100),
    ]
    assert len(cover_by_factor((100, 200), 2, 0.2)) == 9
    assert cover_by_factor((100, 200), 0.5, 0.2) == [Window(0, 0, 400, 200)]
    assert len(set(cover_by_factor((2, 2), 8, 0.5))) == len(cover_by_factor((2, 2), 8, 0.5))


def test_boxes_are_clipped_and_counted_from_the_corner() -> None:
    boxes = torch.tensor([[10.0, 10, 20, 20], [0, 0, 10, 20], [40, 40, 50, 50], [5, 5, 5, 9]])
    inside = boxes_in_window(boxes, Window(5, 10, 30, 30))
    assert_close(inside.boxes[:2], torch.tensor([[5.0, 0, 15, 10], [0, 0, 5, 10]]))
    assert_close(inside.visible, torch.tensor([1.0, 0.25, 0.0, 0.0]))


def test_a_box_is_visible_from_the_fraction_on_and_a_crowd_from_anything_on() -> None:
    fractions = torch.tensor([0.0, 0.05, 0.1, 1.0])
    assert is_visible(fractions, 0.1).tolist() == [False, False, True, True]
    assert is_visible(fractions, 0.0).tolist() == [False, True, True, True]
    assert is_visible(fractions, 0.5, torch.tensor([True, True, False, False])).tolist() == [False, True, False, True]


def test_the_kept_fraction_of_a_box_without_area_is_zero() -> None:
    before = torch.tensor([[0.0, 0, 10, 10], [3, 3, 3, 3]])
    assert_close(kept_fraction(before, torch.tensor([[0.0, 0, 10, 5], [3, 3, 3, 3]])), torch.tensor([0.5, 0.0]))


def test_shifting_moves_both_corners() -> None:
    assert shift_boxes(torch.tensor([[1.0, 2, 3, 4]]), 10, -1).tolist() == [[11, 1, 13, 3]]


def test_boxes_at_inner_edges_are_cut_and_at_edges_of_the_image_are_not() -> None:
    window, size = Window(50, 0, 150, 100), (100, 300)
    boxes = torch.tensor([[50.5, 20, 80, 40], [60, 0, 80, 40], [100, 20, 149.5, 100], [60, 20, 100, 60]])
    assert is_cut(boxes, window, size, 0.01).tolist() == [True, False, True, False]


def test_no_boxes_stay_none() -> None:
    inside = boxes_in_window(torch.zeros(0, 4), Window(0, 0, 5, 5))
    assert inside.boxes.shape == (0, 4)
    assert is_visible(inside.visible, 0.1).shape == (0,)


@pytest.mark.parametrize("factor", [1.01, 1.5, 2, 2.7, 4])
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5])
def test_windows_by_a_factor_cover_the_image_and_overlap(factor: float, overlap: float) -> None:
    size = (300, 500)
    all_windows = cover_by_factor(size, factor, overlap)
    covered = np.zeros(size, bool)
    for window in all_windows:
        assert min(window.x1, window.y1) >= 0
        covered[window.y1 : window.y2, window.x1 : window.x2] = True
        assert window.size == (math.ceil(300 / factor), math.ceil(500 / factor))
    assert covered.all()
    lefts = sorted({window.x1 for window in all_windows})
    assert all(second - first <= (1 - overlap) * all_windows[0].size[1] + 1 for first, second in itertools.pairwise(lefts))
    assert max(window.x2 for window in all_windows) == 500


def test_windows_of_a_thin_image_are_unique() -> None:
    all_windows = cover_by_factor((1, 90), 2, 0.2)
    assert len(all_windows) == len(set(all_windows)) == 3
