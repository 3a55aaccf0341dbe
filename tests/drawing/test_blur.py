"""Blurring: the details of an object are not in the result, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from detkit.drawing.blur import blur_boxes
from detkit.drawing.windows import pixel_windows


def stripes(width: int, height: int = 100, length: int = 140) -> np.ndarray:
    """Return an image of black and white columns of a width."""
    columns = (np.arange(length) // width % 2 * 255).astype(np.uint8)
    return np.broadcast_to(columns[None, :, None], (height, length, 3)).copy()


@pytest.mark.parametrize("width", [1, 2, 5])
def test_details_are_not_in_the_result(width: int) -> None:
    """Two opposite contents of a box give the same result: which of them it was cannot be found out."""
    image = stripes(width)
    boxes = np.array([[30, 20, 110, 80]], np.float32)
    first, second = blur_boxes(image, boxes), blur_boxes(255 - image, boxes)
    inside = np.s_[20:80, 30:110]
    assert np.abs(image[inside].astype(int) - (255 - image)[inside]).min() == 255
    assert np.abs(first[inside].astype(int) - second[inside]).max() <= 64
    assert np.abs(np.diff(first[inside].astype(int), axis=1)).max() <= 8


def test_a_box_is_blurred_with_a_margin_and_nothing_else() -> None:
    image = stripes(2)
    before = image.copy()
    blurred = blur_boxes(image, np.array([[40, 30, 80, 60]], np.float32))
    changed = np.flatnonzero((blurred != image).any((0, 2))), np.flatnonzero((blurred != image).any((1, 2)))
    assert (changed[0].min(), changed[0].max(), changed[1].min(), changed[1].max()) == (36, 83, 27, 62)
    np.testing.assert_array_equal(image, before)


def test_small_boxes_have_one_color() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    blurred = blur_boxes(image, np.array([[10, 10, 11, 11]], np.float32))
    assert len(np.unique(blurred[8:13, 8:13].reshape(-1, 3), axis=0)) == 1
    np.testing.assert_array_equal(blurred[:8], image[:8])


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [-9, 2, -1, 8], [20, 2, 30, 8], [8, 8, 4, 4]])
def test_boxes_without_area_in_the_image_change_nothing(box: list[float]) -> None:
    image = stripes(1, 20, 20)
    assert blur_boxes(image, np.array([box], np.float32)) is image
    assert blur_boxes(image, np.zeros((0, 4), np.float32)) is image


def test_windows_end_at_the_border_and_keep_their_order() -> None:
    boxes = [[-5.0, 3.2, 4.1, 200.0], [7.0, 7.0, 7.0, 9.0], [10.0, 10.0, 11.0, 11.0]]
    assert pixel_windows(boxes, (50, 30)).tolist() == [[0, 3, 5, 50], [7, 7, 7, 7], [10, 10, 11, 11]]
    assert pixel_windows(boxes[2:], (50, 30), 0.5, 3).tolist() == [[7, 7, 14, 14]]
