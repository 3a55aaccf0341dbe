"""Masks of objects equal those of pycocotools, and follow what is done with their image."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from pycocotools import mask as coco_mask

from detkit.arrays import Flags
from detkit.structures import DetectionArrays, Detections, Masks, Targets
from detkit.structures.run_lengths import compressed, decompressed, mask_array

SIZE = (37, 53)


@pytest.fixture(scope="module")
def pixels() -> Flags:
    random_numbers = np.random.default_rng(0)
    masks = random_numbers.random((6, *SIZE)) < 0.3
    masks[2], masks[3], masks[4, :, 10:] = False, True, False
    return masks


@pytest.fixture(scope="module")
def shapes() -> Flags:
    y, x = np.mgrid[:200, :300]
    ellipse = (x - 100) ** 2 / 2400 + (y - 75) ** 2 / 1000 < 1
    return np.stack([ellipse, (x - 150) ** 2 + (y - 100) ** 2 < 400, (abs(x - 150) < 30) & (abs(y - 50) < 20)])


def test_arrays_come_back(pixels: Flags) -> None:
    masks = Masks.of_arrays(pixels)
    assert_array_equal(masks.arrays(SIZE), pixels)
    assert_array_equal(masks.areas, pixels.sum((1, 2)))
    assert masks.windows[4].tolist() == [0, 0, 10, 37]


@pytest.mark.oracle("pycocotools", "run lengths of masks", tolerance="equal")
def test_run_lengths_are_those_of_pycocotools(pixels: Flags) -> None:
    masks = Masks.of_arrays(pixels)
    for row, mask in enumerate(pixels):
        expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        runs = masks.runs(row, SIZE)
        assert runs == {"size": list(SIZE), "counts": expected["counts"].decode()}
        assert_array_equal(mask_array(runs), mask)
        assert compressed(decompressed(runs["counts"])) == runs["counts"]
        assert decompressed(runs["counts"] + "o") == decompressed(runs["counts"])  # a length that does not end
    assert decompressed("") == []


def test_a_row_without_mask_stays_one(pixels: Flags) -> None:
    masks = Masks.cat([Masks.none(1), Masks.of([(pixels[0], 3, 4), None])])
    for changed in (masks, masks.cropped((0, 0, 20, 20)), masks.resized(2, 0.5), masks.shifted(1, 1), masks.flipped(90)):
        assert changed.present.tolist() == [False, True, False]
        assert changed.windows[0].tolist() == [0, 0, 0, 0]
        assert changed.runs(2, SIZE) is None
    assert len(masks[:0].arrays(SIZE)) == 0


def test_rows_are_selected_and_sent_with_their_bits_only(pixels: Flags) -> None:
    masks = Masks.of_arrays(pixels)
    for index in ([3, 1], np.array([3, 1]), torch.tensor([3, 1])):
        sent = pickle.loads(pickle.dumps(masks[index]))
        assert_array_equal(sent.arrays(SIZE), pixels[[3, 1]])
        assert len(sent.bits) < len(masks.bits)
    assert_array_equal(masks[torch.tensor([True, False, False, False, False, True])].arrays(SIZE), pixels[[0, 5]])


@pytest.mark.parametrize("window", [(5, 7, 40, 30), (-4, -2, 60, 50), (50, 30, 80, 90), (60, 60, 70, 70)])
def test_a_window_shows_its_pixels(pixels: Flags, window: tuple[int, int, int, int]) -> None:
    x1, y1, x2, y2 = window
    around = np.pad(pixels, [(0, 0), (100, 100), (100, 100)])
    cropped = Masks.of_arrays(pixels).cropped(window)
    assert_array_equal(cropped.arrays((y2 - y1, x2 - x1)), around[:, y1 + 100 : y2 + 100, x1 + 100 : x2 + 100])


def test_what_leaves_the_image_is_left_out(pixels: Flags) -> None:
    moved = Masks.of_arrays(pixels).shifted(-10, 5)
    expected = np.pad(pixels, [(0, 0), (5, 0), (0, 10)])[:, : SIZE[0], 10:]
    assert_array_equal(moved.arrays(SIZE), expected)
    runs = moved.runs(3, SIZE)
    assert runs is not None
    assert_array_equal(mask_array(runs), expected[3])


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.5, 0.77, 1.5, 2.6])
def test_resized_masks_are_those_of_the_resized_image(shapes: Flags, scale: float) -> None:
    size = round(200 * scale), round(300 * scale)
    resized = Masks.of_arrays(shapes).resized(size[1] / 300, size[0] / 200).arrays(size)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    expected = np.stack([cv2.resize(mask.astype(np.float32), size[::-1], interpolation=method) >= 0.5 for mask in shapes])
    assert (resized != expected).sum((1, 2)).max() <= 0.05 * np.sqrt(expected.sum((1, 2)).max()) + 5


def test_a_flip_mirrors(pixels: Flags) -> None:
    assert_array_equal(Masks.of_arrays(pixels).flipped(SIZE[1]).arrays(SIZE), pixels[:, :, ::-1])


def test_a_warp_moves_pixels(shapes: Flags) -> None:
    matrix = cv2.getRotationMatrix2D((150, 100), 30, 0.8)
    rows, columns = (grid.astype(np.float32) for grid in np.mgrid[:200, :300])
    origins = [cv2.warpAffine(grid + 1, matrix, (320, 180), flags=cv2.INTER_NEAREST).astype(np.int32) - 1 for grid in (columns, rows)]
    warped = Masks.of_arrays(shapes).warped(origins[0], origins[1]).arrays((180, 320))
    for mask, expected in zip(warped, shapes, strict=True):
        assert_array_equal(mask, cv2.warpAffine(expected.astype(np.uint8), matrix, (320, 180), flags=cv2.INTER_NEAREST) > 0)


def test_detections_carry_masks_between_tensors_and_arrays(pixels: Flags) -> None:
    boxes, labels = torch.tensor([[0.0, 0, 9, 9]] * 2), torch.zeros(2, dtype=torch.int64)
    grids = torch.rand(2, 28, 28)
    rows = Detections(boxes, torch.tensor([0.9, 0.5]), labels, mask_probabilities=grids, masks=Masks.of_arrays(pixels[:2]))
    arrays = rows.numpy()
    assert isinstance(arrays, DetectionArrays)
    joined = DetectionArrays.cat([arrays[[1]], arrays[:1]])
    torch.testing.assert_close(Detections.from_numpy(joined).mask_probabilities, grids[[1, 0]])
    assert joined.masks is not None
    assert_array_equal(joined.masks.arrays(SIZE), pixels[[1, 0]])
    assert Detections.cat([rows, Detections.empty()]).mask_probabilities is not None
    with pytest.raises(ValueError, match="1 of 2 groups of rows lack mask_probabilities"):
        Detections.cat([rows, Detections(boxes, rows.scores, labels)])


def test_resized_targets_resize_their_masks(pixels: Flags) -> None:
    boxes = torch.from_numpy(Masks.of_arrays(pixels[:2]).boxes)
    targets = Targets.of(boxes, torch.zeros(2, dtype=torch.int64)).replace(masks=Masks.of_arrays(pixels[:2]))
    doubled = targets.resized(SIZE, (SIZE[0] * 2, SIZE[1] * 2))
    assert doubled.masks is not None
    torch.testing.assert_close(torch.from_numpy(doubled.masks.boxes), doubled.boxes, atol=1, rtol=0)
    assert Targets.empty().masks is None
