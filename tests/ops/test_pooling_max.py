from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchvision.ops import roi_pool

from detkit.ops.pooling_max import nearest_scales, roi_max_pool, spatial_pyramid


def boxes(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 60
    return torch.cat((corner, corner + 1 + torch.rand(count, 2, generator=generator) * 70), 1).round()


@pytest.mark.oracle("torchvision", "spatial pyramid pooling, level by level", tolerance="1e-5")
def test_the_pyramid_equals_pooling_each_level() -> None:
    """Coarser bins are unions of the finest ones, so the result equals pooling every level from the map."""
    level = torch.randn(2, 5, 9, 11, generator=torch.Generator().manual_seed(1))
    rows = [boxes(20), boxes(7, 2)]
    regions = torch.cat(
        [torch.cat((torch.full((len(part), 1), float(i)), part - torch.tensor([0, 0, 1, 1])), 1) for i, part in enumerate(rows)]
    )
    cells = roi_max_pool([level], rows, output_size=6, strides=[16.0], levels=torch.zeros(27, dtype=torch.int64))
    pooled = spatial_pyramid(cells, (6, 3, 2, 1))
    expected = torch.cat([roi_pool(level, regions, side, 1 / 16).flatten(1) for side in (6, 3, 2, 1)], 1)
    assert pooled.shape == (27, 5 * 50, 1, 1)
    assert_close(pooled[:, :, 0, 0], expected)


def test_bins_must_divide_the_first() -> None:
    with pytest.raises(ValueError, match=r"divide the first, got \(6, 4\) for 6 cells"):
        spatial_pyramid(torch.zeros(1, 1, 6, 6), (6, 4))


def test_regions_are_pooled_from_their_levels_with_gradients() -> None:
    maps = [torch.full((1, 2, 8, 8), float(value), requires_grad=True) for value in (1, 2)]
    levels = torch.tensor([1, 0, 1])
    pooled = roi_max_pool(maps, [boxes(3)], output_size=3, strides=[16.0, 20.0], levels=levels)
    assert_close(pooled[:, 0, 0, 0], torch.tensor([2.0, 1.0, 2.0]))
    pooled.sum().backward()
    assert all(level.grad is not None and level.grad.any() for level in maps)


def test_no_regions() -> None:
    pooled = roi_max_pool(
        [torch.rand(1, 2, 4, 4)], [torch.zeros(0, 4)], output_size=3, strides=[16.0], levels=torch.zeros(0, dtype=torch.int64)
    )
    assert pooled.shape == (0, 2, 3, 3)


def test_nearest_scales_to_224_pixels() -> None:
    sides = torch.tensor([50.0, 224.0, 448.0, 1000.0])
    rows = torch.stack((torch.zeros(4), torch.zeros(4), sides, sides), 1)
    assert nearest_scales(rows, (0.5, 1.0, 2.0)).tolist() == [2, 1, 0, 0]
