"""Label maps of labeled objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detkit.structures import Masks, Targets
from detkit.structures.label_maps import IGNORED, class_masks, label_map, target_map

SIZE = (10, 12)


def box_mask(x1: int, y1: int, x2: int, y2: int) -> tuple[np.ndarray, int, int]:
    return np.ones((y2 - y1, x2 - x1), np.bool_), x1, y1


def targets(boxes: list[tuple[int, int, int, int]], labels: list[int], **columns: object) -> Targets:
    rows = Targets.of(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64))
    return rows.replace(masks=Masks.of([box_mask(*box) for box in boxes]), **columns)


def test_smaller_objects_are_on_top_whatever_their_order() -> None:
    boxes, labels = [(2, 2, 4, 4), (0, 0, 10, 8), (1, 1, 6, 6)], [0, 1, 2]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        result = target_map(targets([boxes[i] for i in order], [labels[i] for i in order]), SIZE, fill=3)
        assert (result[3, 3], result[5, 5], result[7, 9], result[9, 11]) == (0, 2, 1, 3)
        assert np.bincount(result.flatten()).tolist() == [4, 80 - 25, 21, 40]


def test_of_equally_large_objects_the_later_one_is_on_top() -> None:
    result = target_map(targets([(0, 0, 4, 4), (2, 2, 6, 6)], [0, 1]), SIZE, fill=2)
    assert (result[3, 3], result[1, 1]) == (1, 0)


def test_ignored_regions_are_below_objects() -> None:
    rows = targets([(0, 0, 4, 4), (0, 0, 8, 8), (6, 6, 9, 9)], [0, 1, 1], is_crowd=torch.tensor([True, False, False]))
    result = target_map(rows, SIZE, fill=2)
    assert (result[2, 2], result[8, 8]) == (1, 1)
    alone = target_map(rows[[0]], SIZE, fill=2)
    assert (alone == IGNORED).sum() == 16
    ignored = target_map(rows[[2]].replace(is_ignore=torch.tensor([True])), SIZE, fill=2)
    assert (ignored == IGNORED).sum() == 9


def test_the_box_of_an_object_without_mask_is_ignored() -> None:
    rows = targets([(0, 0, 5, 5), (3, 3, 6, 6)], [0, 1])
    rows = rows.replace(masks=Masks.of([None, box_mask(3, 3, 6, 6)]), boxes=torch.tensor([[-1.0, 0.5, 4.2, 4.9], [3, 3, 6, 6]]))
    result = target_map(rows, SIZE, fill=2)
    assert (result[:5, :5] == IGNORED).sum() == 25 - 4
    assert (result[3:6, 3:6] == 1).all()


def test_masks_that_stick_out_are_cut() -> None:
    result = target_map(targets([(0, 0, 5, 5)], [0]).with_masks(lambda masks: masks.shifted(-2, 7)), SIZE, fill=1)
    assert (result == 0).sum() == 9
    assert (result[7:, :3] == 0).all()


def test_images_without_objects_are_background() -> None:
    assert (target_map(Targets.empty(), SIZE, fill=4) == 4).all()
    assert (target_map(Targets.empty().replace(masks=Masks.none(0)), SIZE, fill=IGNORED) == IGNORED).all()


def test_boxes_without_masks_are_an_error() -> None:
    with pytest.raises(ValueError, match="expected masks of the objects, got 1 boxes without"):
        target_map(targets([(0, 0, 4, 4)], [0]).replace(masks=None), SIZE, fill=2)


def test_a_label_map_survives_its_masks() -> None:
    labels = np.random.default_rng(0).integers(0, 4, SIZE).astype(np.uint8)
    masks = class_masks(labels, [2, 0, 1])

    class Rows:
        """Regions as a segmenter predicts them."""

    rows = Rows()
    rows.labels, rows.masks = torch.tensor([2, 0, 1]), masks
    np.testing.assert_array_equal(label_map(rows, SIZE, fill=3), labels)
