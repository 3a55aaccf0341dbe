from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchvision import ops as reference

from detkit.ops.boxes import (
    box_area,
    box_iou,
    clip_boxes,
    crowd_overlap,
    cxcywh_to_xyxy,
    valid_boxes,
    xywh_to_xyxy,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)


def random_boxes(count: int, seed: int = 0, size: float = 200.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * size
    return torch.cat((corner, corner + 1 + torch.rand(count, 2, generator=generator) * size / 2), 1)


@pytest.mark.oracle("torchvision", "conversions between box formats", tolerance="1e-5")
@pytest.mark.parametrize(("convert", "invert", "name"), [(xyxy_to_xywh, xywh_to_xyxy, "xywh"), (xyxy_to_cxcywh, cxcywh_to_xyxy, "cxcywh")])
def test_conversions_equal_torchvision_and_invert(convert, invert, name) -> None:
    boxes = random_boxes(50)
    assert_close(convert(boxes), reference.box_convert(boxes, "xyxy", name))
    assert_close(invert(convert(boxes)), boxes)


@pytest.mark.oracle("torchvision", "IoU and area of boxes", tolerance="1e-5")
def test_iou_and_area_equal_torchvision() -> None:
    first, second = random_boxes(40), random_boxes(30, seed=1)
    assert_close(box_iou(first, second), reference.box_iou(first, second))
    assert_close(box_area(first), reference.box_area(first))


def test_boxes_without_area_have_zero_iou() -> None:
    point = torch.tensor([[5.0, 5.0, 5.0, 5.0]])
    assert_close(box_iou(point, torch.cat((point, random_boxes(1)))), torch.zeros(1, 2))
    assert box_iou(torch.zeros(0, 4), random_boxes(3)).shape == (0, 3)


def test_crowd_overlap_is_a_fraction_of_the_box() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 100.0, 100.0]])
    assert_close(crowd_overlap(boxes, torch.tensor([[5.0, 0.0, 50.0, 50.0]])), torch.tensor([[0.5], [0.225]]))


def test_clip_boxes_does_not_modify_its_input() -> None:
    boxes = torch.tensor([[-5.0, -5.0, 20.0, 30.0], [90.0, 90.0, 95.0, 99.0]])
    before = boxes.clone()
    assert_close(clip_boxes(boxes, (10, 15)), torch.tensor([[0.0, 0.0, 15.0, 10.0], [15.0, 10.0, 15.0, 10.0]]))
    assert_close(boxes, before)


def test_valid_boxes_drops_thin_ones_and_nan() -> None:
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 9.0], [0.0, 0.0, float("nan"), 9.0]])
    assert valid_boxes(boxes, 1.0).tolist() == [True, False, False]


def test_iou_is_computed_in_float32() -> None:
    boxes = random_boxes(10).bfloat16()
    assert box_iou(boxes, boxes).dtype == torch.float32
