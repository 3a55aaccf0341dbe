"""Labeled outlines become the pixels that pycocotools computes, and stay with their objects in every augmentation."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from pycocotools import mask as coco_mask

from detkit.data.augment import AnnotatedImage, Augmenter
from detkit.data.augment.config import AugmentationConfig
from detkit.data.mask_pixels import mask_pixels
from detkit.structures import Masks, Segmentations, Targets

SIZE = (60, 90)
POLYGONS: list[list[list[float]]] = [
    [[10.2, 5.7, 40.9, 8.1, 30.5, 44.4, 12.0, 30.0]],
    [[-5, 50, 30, 70, -5, 70], [60, 10, 80, 10, 80, 30]],
    [[85, 20, 120, 40, 85, 55]],
]


@pytest.mark.oracle("pycocotools", "pixels of polygons", tolerance="equal; up to 3 pixels where an edge leaves the image")
@pytest.mark.parametrize("polygons", POLYGONS)
def test_polygons_are_filled_as_by_pycocotools(polygons: list[list[float]]) -> None:
    rows = Segmentations.of_polygons([[np.reshape(part, (-1, 2)) for part in polygons]])
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *SIZE)))
    different = mask_pixels(rows, 1, SIZE).arrays(SIZE)[0] != expected
    inside = min(min(part) for part in polygons) >= 0 and max(max(part[::2]) for part in polygons) <= SIZE[1]
    assert different.sum() <= (0 if inside else 3)  # pycocotools bends edges that leave the image


@pytest.mark.oracle("pycocotools", "pixels of run lengths", tolerance="equal")
def test_run_lengths_and_missing_masks() -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[5:9, 7:30] = 1
    runs: dict[str, Any] = {"size": list(SIZE), "counts": coco_mask.encode(np.asfortranarray(mask))["counts"].decode()}
    masks = mask_pixels(Segmentations.of_values([None, runs]), 2, SIZE)
    assert masks.present.tolist() == [False, True]
    assert_array_equal(masks.array(1, SIZE), mask)
    assert mask_pixels(None, 3, SIZE).present.tolist() == [False] * 3
    with pytest.raises(ValueError, match=r"expected those of an image of 60 x 90 pixels .* got 90 x 60"):
        mask_pixels(Segmentations.of_values([runs]), 1, SIZE[::-1])


AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "flips": {"flip": 0.5, "vertical_flip": 0.5, "quarter_turns": 0.5},
    "quarter turns": {"quarter_turns": 1.0, "flip": 0.0},
    "IoU crop": {"crop": {"probability": 1}, "quarter_turns": 0.5, "vertical_flip": 0.5},
    "rotation": {"rotation": {"degrees": 25, "shear": 8, "probability": 1}},
    "crop": {"crop": {"probability": 1}, "zoom_out": {"probability": 0.5}},
    "mosaic": {"mosaic": {"probability": 1, "degrees": 10, "size": (160, 200)}, "resize": {"kind": "jitter", "size": (160, 200)}},
    "mixup": {"mixup": {"probability": 1}},
    "perspective": {"extra": ("Perspective(p=1)",)},
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_masks_stay_on_their_objects(name: str) -> None:
    """The objects are drawn in a color of their own, so that the image shows where they are."""
    config = AugmentationConfig.model_validate({"photometric": None, **AUGMENTATIONS[name]})
    augmenter, seen = Augmenter(config), 0
    for seed in range(6):
        random_numbers = np.random.default_rng(seed)
        result = augmenter(drawn(random_numbers), random_numbers, drawn)
        masks = result.targets.masks
        assert masks is not None
        difference = (result.targets.boxes - torch.from_numpy(masks.boxes)).abs()
        assert not len(masks) or float(difference.max()) <= 1.01
        colored = result.image[..., 0] > 128
        for row, mask in enumerate(masks.arrays(result.size)):
            inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5)), borderValue=0).astype(bool)
            if name != "mixup":
                assert colored[inner].mean() > 0.98 if inner.any() else True, (seed, row)
        union = masks.arrays(result.size).any(0)
        if name not in ("mixup", "crop", "IoU crop"):  # what a crop shows too little of is dropped
            inside = cv2.erode(colored.astype(np.uint8), np.ones((7, 7)), borderValue=0).astype(bool)
            assert union[inside].mean() > 0.9 if inside.any() else True
        seen += len(masks)
    assert seen > 6


def drawn(random_numbers: np.random.Generator) -> AnnotatedImage:
    """Return an image with two red ellipses on black, and their masks."""
    size = (120, 150)
    image, masks = np.zeros((*size, 3), np.uint8), []
    for _ in range(2):
        mask = np.zeros(size, np.uint8)
        center = int(random_numbers.integers(30, 120)), int(random_numbers.integers(30, 90))
        axes = int(random_numbers.integers(8, 30)), int(random_numbers.integers(8, 30))
        cv2.ellipse(mask, center, axes, float(random_numbers.uniform(0, 180)), 0, 360, 1, -1)
        image[mask > 0] = (255, 0, 0)
        masks.append(mask)
    values = Masks.of_arrays(masks)
    targets = Targets.of(torch.from_numpy(values.boxes), torch.zeros(2, dtype=torch.int64)).replace(masks=values)
    return AnnotatedImage(image, targets)


def test_five_hundred_masks_take_little_memory() -> None:
    mask = np.ones((40, 40), np.bool_)
    masks = Masks.of([(mask, index, index) for index in range(500)])
    assert masks.bits.nbytes == 500 * 200
