"""Polygons of masks: exact along the borders of pixels, close to them when simplified, holes and parts included."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from detkit.data.mask_pixels import mask_pixels
from detkit.data.writers.mask_polygons import mask_polygons, polygons_of_masks
from detkit.data.writers.outlines import joined
from detkit.structures import Masks, Segmentations

SIZE = (70, 90)


def filled(polygons: list[np.ndarray]) -> np.ndarray:
    return mask_pixels(Segmentations.of_polygons([polygons]), 1, SIZE).array(0, SIZE)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def ellipse(box: tuple[int, int, int, int], hole: tuple[int, int, int, int] | None = None) -> np.ndarray:
    image = Image.new("1", SIZE[::-1])
    draw = ImageDraw.Draw(image)
    draw.ellipse(box, fill=1)
    if hole is not None:
        draw.ellipse(hole, fill=0)
    return np.array(image)


def ring_and_dot() -> np.ndarray:
    """A ring with a dot in its hole, another hole, and a part apart from it."""
    mask = ellipse((5, 5, 60, 60), (15, 15, 45, 45)) | ellipse((25, 25, 33, 33)) | ellipse((70, 40, 85, 68))
    mask[50:53, 48:51] = False
    return mask


@pytest.mark.parametrize("seed", range(3))
def test_exact_polygons_have_the_same_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.random(SIZE) > [0.2, 0.5, 0.8][seed]
    for mask in (noise, ring_and_dot()):
        assert (filled(mask_polygons(mask, max_error=0)) == mask).all()
        assert (filled([joined(mask_polygons(mask, max_error=0))]) == mask).all()


def test_a_ring_with_a_dot_is_close_and_has_few_points() -> None:
    mask = ring_and_dot()
    polygons = mask_polygons(mask)
    assert [len(polygon) < 150 for polygon in polygons] == [True] * 3  # the ring with its holes, what is apart, and the dot
    assert iou(filled(polygons), mask) > 0.94
    assert iou(filled([joined(polygons)]), mask) > 0.94
    assert sum(map(len, polygons)) < sum(map(len, mask_polygons(mask, max_error=0))) / 2


@pytest.mark.parametrize("side", [1, 2, 3, 5, 12])
def test_small_masks_are_exact(side: int) -> None:
    mask = np.zeros(SIZE, bool)
    mask[9 : 9 + side, 70 : 70 + side] = True
    (polygon,) = mask_polygons(mask)
    assert sorted(map(tuple, polygon.tolist())) == sorted((70 + x, 9 + y) for x in (0, side) for y in (0, side))
    assert (filled([polygon]) == mask).all()


def test_a_thin_diagonal_stays() -> None:
    mask = np.eye(*SIZE, dtype=bool)
    assert iou(filled(mask_polygons(mask)), mask) == 1


def test_masks_of_an_image() -> None:
    masks = Masks.of([(ring_and_dot(), 0, 0), None, (np.zeros((3, 3), bool), 4, 4), (np.ones((2, 4), bool), 10, 20)])
    ring, missing, empty, box = polygons_of_masks(masks)
    assert (len(ring), missing, empty) == (3, [], [])
    assert sorted(map(tuple, box[0].tolist())) == [(10, 20), (10, 22), (14, 20), (14, 22)]
    assert polygons_of_masks(Masks.none(0)) == []


def test_what_fills_polygons_by_the_even_odd_rule_gets_the_holes() -> None:
    mask = ring_and_dot()
    image = Image.new("1", (SIZE[1] * 8, SIZE[0] * 8))
    draw = ImageDraw.Draw(image)
    draw.polygon([(8 * x, 8 * y) for x, y in joined(mask_polygons(mask)).tolist()], fill=1)
    assert iou(np.array(image)[4::8, 4::8], mask) > 0.93
