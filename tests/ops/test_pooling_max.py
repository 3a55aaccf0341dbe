from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchvision.ops import roi_pool

from detkit.ops.pooling_max import nearest_scales, pyramid_of, roi_max_pool


def boxes(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 60
    return torch.cat((corner, corner + 1 + torch.rand(count, 2, generator=generator) * 70), 1).round()


def test_a_pyramid_is_a_pooling_for_each_level() -> None:
    """As if every level were pooled from the map itself: coarser bins are unions of the finest ones."""
    level = torch.randn(2, 5, 9, 11, generator=torch.Generator().manual_seed(1))
    rows = [boxes(20), boxes(7, 2)]
    regions = torch.cat(
        [torch.cat((torch.full((len(part), 1), float(i)), part - torch.tensor([0, 0, 1, 1])), 1) for i, part in enumerate(rows)]
    )
    cells = roi_max_pool([level], rows, output_size=6, strides=[16.0], levels=torch.zeros(27, dtype=torch.int64))
    found = pyramid_of(cells, (6, 3, 2, 1))
    expected = torch.cat([roi_pool(level, regions, side, 1 / 16).flatten(1) for side in (6, 3, 2, 1)], 1)
    assert found.shape == (27, 5 * 50, 1, 1)
    assert_close(found[:, :, 0, 0], expected)


def test_bins_divide_the_first() -> None:
    with pytest.raises(ValueError, match=r"divide the first, got \(6, 4\) for 6 cells"):
        pyramid_of(torch.zeros(1, 1, 6, 6), (6, 4))


def test_regions_come_from_their_maps_with_gradients() -> None:
    maps = [torch.full((1, 2, 8, 8), float(value), requires_grad=True) for value in (1, 2)]
    levels = torch.tensor([1, 0, 1])
    found = roi_max_pool(maps, [boxes(3)], output_size=3, strides=[16.0, 20.0], levels=levels)
    assert_close(found[:, 0, 0, 0], torch.tensor([2.0, 1.0, 2.0]))
    found.sum().backward()
    assert all(level.grad is not None and level.grad.any() for level in maps)


def test_no_region_is_no_trouble() -> None:
    found = roi_max_pool(
        [torch.rand(1, 2, 4, 4)], [torch.zeros(0, 4)], output_size=3, strides=[16.0], levels=torch.zeros(0, dtype=torch.int64)
    )
    assert found.shape == (0, 2, 3, 3)


def test_the_scale_nearest_to_224_pixels() -> None:
    sides = torch.tensor([50.0, 224.0, 448.0, 1000.0])
    rows = torch.stack((torch.zeros(4), torch.zeros(4), sides, sides), 1)
    assert nearest_scales(rows, (0.5, 1.0, 2.0)).tolist() == [2, 1, 0, 0]
