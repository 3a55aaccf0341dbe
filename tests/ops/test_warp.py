from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchvision.ops import roi_align

from detkit.ops.warp import add_context, warp_regions


@pytest.mark.oracle("torchvision", "warping of regions", tolerance="1e-4")
def test_warp_equals_aligned_roi_align_with_one_sample_per_pixel() -> None:
    image = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[4.0, 5.0, 31.0, 38.0], [10.5, 3.25, 12.0, 30.0], [0.0, 0.0, 60.0, 40.0]])
    expected = roi_align(image[None], [boxes], 16, sampling_ratio=1, aligned=True)
    warped = warp_regions(image, boxes, 16)
    assert warped.shape == (3, 3, 16, 16)
    assert_close(warped, expected, atol=1e-4, rtol=1e-4)


def test_a_box_of_the_output_size_is_copied() -> None:
    image = torch.rand(3, 20, 30)
    assert_close(warp_regions(image, torch.tensor([[5.0, 4.0, 13.0, 12.0]]), 8)[0], image[:, 4:12, 5:13], atol=1e-5, rtol=1e-5)


def test_zero_outside_the_image_and_no_boxes() -> None:
    warped = warp_regions(torch.ones(3, 8, 8), torch.tensor([[-8.0, 0.0, 8.0, 8.0]]), 16)[0]
    assert not warped[:, :, :7].any()
    assert_close(warped[:, 1:-1, 9:], torch.ones(3, 14, 7))
    assert warp_regions(torch.ones(3, 8, 8), torch.zeros(0, 4), 16).shape == (0, 3, 16, 16)


def test_the_box_ends_context_pixels_from_every_edge() -> None:
    box = torch.tensor([[10.0, 20.0, 30.0, 28.0]])
    image = torch.zeros(3, 60, 60)
    image[:, 20:28, 10:30] = 1
    warped = warp_regions(image, add_context(box, 227, 16), 227)[0, 0]
    inside = (warped >= 0.5).nonzero()
    assert inside.amin(0).tolist() == [16, 16]
    assert inside.amax(0).tolist() == [210, 210]
    with pytest.raises(ValueError, match="below half of the size, got 16 pixels on each side of 32"):
        add_context(box, 32, 16)


def test_an_image_of_one_pixel() -> None:
    assert torch.isfinite(warp_regions(torch.ones(3, 1, 1), add_context(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), 8, 2), 8)).all()
