"""Masks through predictors, views, tiles and merging, with a runtime that knows where the object is; without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from detkit.arrays import Flags, ImageArray
from detkit.inference.light import ArrayPredictor
from detkit.inference.pyramid import ImagePyramid
from detkit.inference.runtime import RuntimeInfo
from detkit.preprocess import PreprocessConfig
from detkit.structures.detection import DetectionArrays

SIDE = 28
OBJECT = (slice(30, 90), slice(100, 170))


class Bright:
    """Finds the bright pixels of each image: one box around them, and a grid that says which of its pixels are bright."""

    def __init__(self, preprocess: PreprocessConfig) -> None:
        self.info = RuntimeInfo("Bright", ("a", "b"), preprocess, "cpu", "fp32", max_detections=10)

    def detect(self, images: Sequence[Any]) -> list[DetectionArrays]:
        return [self.one(image.image) for image in images]

    def one(self, image: Any) -> DetectionArrays:
        bright = image.mean(0) > 0.5
        rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        if not len(rows):
            empty = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
            return DetectionArrays(*empty, mask_probabilities=np.zeros((0, SIDE, SIDE), np.float32))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        y, x = (((np.arange(SIDE) + 0.5) / SIDE * (end - begin) + begin).astype(int) for begin, end in ((top, bottom), (left, right)))
        box = np.array([[left, top, right, bottom]], np.float32)
        grid = bright[np.ix_(y, x)].astype(np.float32)
        return DetectionArrays(box, np.array([0.9], np.float32), np.array([1]), mask_probabilities=grid[None])


def triangle() -> tuple[ImageArray, Flags]:
    """A bright triangle, which no flip leaves as it is."""
    pixels = np.zeros((120, 200), np.bool_)
    y, x = np.mgrid[0:60, 0:70]
    pixels[OBJECT] = x * 60 < y * 70
    return np.where(pixels[..., None], 255, 0).astype(np.uint8).repeat(3, -1), pixels


def predictor(**options: Any) -> ArrayPredictor:
    return ArrayPredictor(Bright(PreprocessConfig(short_side=120, long_side=200)), **options)


def overlap(rows: DetectionArrays, pixels: Flags) -> float:
    assert len(rows) == 1
    assert rows.masks is not None
    mask = rows.masks.array(0, (pixels.shape[0], pixels.shape[1]))
    return float((mask & pixels).sum() / (mask | pixels).sum())


@pytest.mark.parametrize("side", [120, 60, 240])
def test_masks_are_in_pixels_of_the_image(side: int) -> None:
    image, pixels = triangle()
    model = ArrayPredictor(Bright(PreprocessConfig(short_side=side, long_side=2 * side)))
    assert overlap(model(image), pixels) > 0.91


def test_the_grid_follows_a_box_that_is_clipped_to_the_image() -> None:
    """Padding of the letterbox is bright too: the box reaches into it, and ends at the edge of the image."""
    image = np.zeros((60, 120, 3), np.uint8)
    image[30:, 20:60] = 255
    bright = image[..., 0] > 0
    config = PreprocessConfig(rule="letterbox", input_size=(120, 120), pad_value=0)
    runtime = Bright(config)
    original = runtime.one

    def taller(pixels: Any) -> DetectionArrays:
        pixels = pixels.copy()
        object_rows = np.flatnonzero(pixels.mean(0).max(1) > 0.5)
        pixels[:, object_rows[-1] : object_rows[-1] + 20, 20:40] = 1.0
        return original(pixels)

    runtime.one = taller  # type: ignore[method-assign]
    assert overlap(ArrayPredictor(runtime)(image), bright) > 0.91


def test_batches_images_without_objects_and_selection() -> None:
    image, pixels = triangle()
    first, nothing, second = predictor(batch_size=2)([image, np.zeros_like(image), image])
    assert nothing.masks is not None
    assert len(nothing) == len(nothing.masks) == 0
    assert overlap(first, pixels) == overlap(second, pixels) > 0.94
    for options in ({"classes": ["a"]}, {"min_score": 0.95}):
        rows = predictor(**options)(image)
        assert rows.masks is not None
        assert rows.mask_probabilities is not None
        assert len(rows) == len(rows.masks) == len(rows.mask_probabilities) == 0


@pytest.mark.parametrize("merge", ["hard", "linear", "gaussian", "fusion"])
def test_flipped_views_agree_with_the_image(merge: Any) -> None:
    image, pixels = triangle()
    rows = ImagePyramid(predictor(), (1.0, 2.0), flip=True, merge=merge, min_score=0.5)(image)
    assert overlap(rows, pixels) > 0.93


def test_only_a_flipped_view() -> None:
    """The mask of a mirrored image is mirrored back."""
    image, _ = triangle()
    pyramid = ImagePyramid(predictor(), (1.0,), flip=True)
    prepared = pyramid.prepare(image)
    (index,) = [index for index, view in enumerate(prepared.views) if view.flipped]
    (found,) = pyramid.predictor.detect([prepared.input(index)])
    assert found.masks is None, "views leave pixels to the merged detections"
    restored = prepared.views[index].restore(found, (120, 200)).complete
    assert restored.mask_probabilities is not None
    straight = predictor()(image).mask_probabilities
    assert straight is not None
    assert np.abs(restored.mask_probabilities - straight).mean() < 0.03


def test_an_object_that_every_tile_cuts_is_joined_with_its_mask() -> None:
    """Tiles of 64 pixels cut an object of 60 x 70, which no tile shows whole."""
    image, pixels = triangle()
    rows = ImagePyramid(predictor(), (), tiles=64, tile_overlap=0.5)(image)
    best = rows[:1]
    assert overlap(best, pixels) > 0.8
    assert rows.masks is not None
    assert rows.mask_probabilities is not None
    assert len(rows) == len(rows.masks) == len(rows.mask_probabilities)


def test_tiles_without_objects() -> None:
    rows = ImagePyramid(predictor(), tiles=64)(np.zeros((100, 150, 3), np.uint8))
    assert rows.masks is not None
    assert len(rows) == len(rows.masks) == 0
