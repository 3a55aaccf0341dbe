from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from detkit.ops.box_arrays import paired_iou
from detkit.ops.boxes import paired_iou as paired_iou_of_tensors
from detkit.ops.boxes import paired_overlap


def random_boxes(count: int, seed: int) -> np.ndarray:
    corners = np.random.default_rng(seed).random((count, 2, 2)) * 20
    return np.concatenate((corners.min(1), corners.max(1) + 1), 1)


@pytest.mark.oracle("torchvision", "IoU of arrays", tolerance="1e-5 relative")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_iou_of_arrays_equals_torchvisions(dtype: type) -> None:
    first, second = random_boxes(20, 0).astype(dtype), random_boxes(30, 1).astype(dtype)
    expected = box_iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    pairs = paired_iou(first[:, None], second)
    assert pairs.dtype == dtype
    np.testing.assert_allclose(pairs, expected, rtol=1e-5)
    np.testing.assert_allclose(
        paired_iou(first, first[::-1]), np.diag(box_iou(*map(torch.from_numpy, (first, first[::-1].copy())))), rtol=1e-5
    )
    np.testing.assert_allclose(paired_iou(first, second[3]), expected[:, 3], rtol=1e-5)


def test_boxes_without_area_do_not_overlap() -> None:
    point, box = np.array([[3.0, 3, 3, 3]]), np.array([[0.0, 0, 5, 5]])
    assert paired_iou(point, point).tolist() == paired_iou(point, box).tolist() == [0]
    assert paired_iou(np.zeros((0, 4)), box).shape == (0,)


def test_iou_of_tensors_equals_that_of_arrays() -> None:
    first, second = (torch.from_numpy(random_boxes(40, seed)).float() for seed in (2, 3))
    torch.testing.assert_close(paired_iou_of_tensors(first, second), torch.from_numpy(paired_iou(first.numpy(), second.numpy())))


def test_overlap_has_the_enclosing_box() -> None:
    overlap = paired_overlap(torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([[2.0, 3, 8, 5]]))
    assert [float(part) for part in overlap] == [2, 16 + 12 - 2, 8, 5]
