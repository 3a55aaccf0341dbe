from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from detkit.ops.anchors import cell_anchors, grid_anchors, grid_points, grid_strides

SIZES, RATIOS = ((32, 40), (64, 81)), (0.5, 1.0, 2.0)


@pytest.mark.oracle("torchvision", "anchors", tolerance="1e-5")
def test_anchors_equal_torchvision() -> None:
    grids = [(25, 38), (13, 19)]
    reference = AnchorGenerator(SIZES, (RATIOS,) * 2)
    images = ImageList(torch.zeros(1, 3, 200, 304), [(200, 304)])
    expected = reference(images, [torch.zeros(1, 8, *grid) for grid in grids])[0]
    anchors = grid_anchors([cell_anchors(sizes, RATIOS) for sizes in SIZES], grids, grid_strides((200, 304), grids))
    assert_close(torch.cat(anchors), expected)
    assert [len(level) for level in anchors] == [25 * 38 * 6, 13 * 19 * 6]


def test_stride_is_the_padded_size_over_the_grid_size() -> None:
    assert grid_strides((200, 304), [(25, 38), (13, 19)]) == ((8, 8), (15, 16))


def test_points_are_in_row_major_order() -> None:
    assert_close(grid_points((2, 3), (8, 4), 0.5), torch.tensor([[2.0, 4], [6, 4], [10, 4], [2, 12], [6, 12], [10, 12]]))
