from __future__ import annotations

import pytest
import torch
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from detkit.ops.match import BACKGROUND, IGNORE, class_targets, extend_regions, match_by_iou, match_ious, mostly_inside_regions
from detkit.structures import Targets

RULE = {"positive_iou": 0.7, "negative_iou": 0.3}


def random_boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 60
    return torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=generator) * 40), 1)


def targets(boxes: torch.Tensor, crowd: list[bool] | None = None) -> Targets:
    flags = None if crowd is None else torch.tensor(crowd)
    return Targets.of(boxes, torch.zeros(len(boxes), dtype=torch.int64), is_crowd=flags)


@pytest.mark.oracle("torchvision", "assignment of anchors by IoU", tolerance="equal")
@pytest.mark.parametrize("allow_low_quality", [False, True])
def test_equals_torchvision(allow_low_quality: bool) -> None:
    truth, anchors = random_boxes(12, 0), random_boxes(800, 1)
    expected = Matcher(0.7, 0.3, allow_low_quality_matches=allow_low_quality)(box_iou(truth, anchors))
    assignment = match_by_iou(anchors, targets(truth), allow_low_quality=allow_low_quality, **RULE)
    assert torch.equal(assignment, expected)
    assert {BACKGROUND, IGNORE} <= set(assignment.tolist())


def test_all_anchors_are_background_without_targets() -> None:
    assert match_by_iou(random_boxes(5, 0), Targets.empty(), allow_low_quality=True, **RULE).tolist() == [BACKGROUND] * 5


def test_without_anchors() -> None:
    assert match_by_iou(torch.zeros(0, 4), targets(random_boxes(3, 0)), allow_low_quality=True, **RULE).tolist() == []


def test_a_target_far_from_all_anchors_is_not_matched() -> None:
    far = torch.tensor([[900.0, 900.0, 950.0, 950.0]])
    assert set(match_by_iou(random_boxes(50, 0), targets(far), allow_low_quality=True, **RULE).tolist()) == {BACKGROUND}


def test_a_degenerate_target_is_not_matched() -> None:
    line = torch.tensor([[10.0, 10.0, 10.0, 40.0]])
    anchors = torch.cat((random_boxes(20, 0), line))
    assert set(match_by_iou(anchors, targets(line), allow_low_quality=True, **RULE).tolist()) == {BACKGROUND}


def test_crowds_are_never_positive_and_anchors_inside_are_ignored() -> None:
    crowd = torch.tensor([[0.0, 0.0, 100.0, 100.0]])
    inside, half, outside = [10.0, 10, 40, 40], [90.0, 0, 110, 20], [150.0, 150, 190, 190]
    anchors = torch.tensor([[0.0, 0.0, 100.0, 100.0], inside, half, outside])
    assert match_by_iou(anchors, targets(crowd, [True]), allow_low_quality=True, **RULE).tolist() == [
        IGNORE,
        IGNORE,
        BACKGROUND,
        BACKGROUND,
    ]


def test_a_target_inside_a_crowd_is_matched() -> None:
    truth = torch.tensor([[0.0, 0.0, 100.0, 100.0], [10.0, 10.0, 40.0, 40.0]])
    anchors = torch.tensor([[10.0, 10.0, 40.0, 40.0], [60.0, 60.0, 90.0, 90.0]])
    assert match_by_iou(anchors, targets(truth, [True, False]), allow_low_quality=True, **RULE).tolist() == [1, IGNORE]


def test_low_quality_matches_include_ties() -> None:
    ious = torch.tensor([[0.2, 0.2, 0.1], [0.0, 0.1, 0.25]])
    assert match_ious(ious, allow_low_quality=True, **RULE).tolist() == [0, 0, 1]
    assert match_ious(ious, **RULE).tolist() == [BACKGROUND] * 3


def test_class_targets() -> None:
    one_hot = class_targets(torch.tensor([1, BACKGROUND, 0, IGNORE]), torch.tensor([2, 0]), 3)
    assert one_hot.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert class_targets(torch.tensor([BACKGROUND]), torch.zeros(0, dtype=torch.int64), 2).tolist() == [[0, 0]]


def region(*boxes: tuple[float, ...]) -> Targets:
    return Targets.of(torch.tensor(boxes), torch.zeros(len(boxes)).long(), is_crowd=torch.ones(len(boxes)).bool())


def test_boxes_and_points_mostly_inside_a_region() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [5.5, 0.0, 15.5, 10.0], [90.0, 90.0, 90.0, 90.0]])
    assert mostly_inside_regions(boxes, region((-2.0, -2.0, 10.0, 10.0))).tolist() == [True, False, False, False]
    assert mostly_inside_regions(boxes, region((-2.0, -2.0, 10.1, 10.0))).tolist() == [True, True, False, False]
    points = torch.tensor([[5.0, 5.0], [9.9, 5.0], [10.1, 5.0]])
    assert mostly_inside_regions(points, region((0.0, 0.0, 10.0, 10.0))).tolist() == [True, True, False]
    assert mostly_inside_regions(boxes, Targets.empty()).tolist() == [False] * 4
    objects = Targets.of(boxes[:1], torch.zeros(1).long())
    assert not mostly_inside_regions(boxes, objects).any()


def test_regions_at_an_edge_include_what_is_outside_of_the_image_there() -> None:
    rows = Targets.cat(
        [
            region((0.5, 20.0, 50.0, 79.5), (30.0, 0.0, 99.2, 60.0)),
            Targets.of(torch.tensor([[0.0, 0.0, 100.0, 80.0]]), torch.ones(1).long()),
        ]
    )
    (extended,) = extend_regions([rows], [(80, 100)])
    assert extended.boxes[2].tolist() == [0.0, 0.0, 100.0, 80.0]
    assert extended.boxes[0].tolist() == [-1e5, 20.0, 50.0, 80 + 1e5]
    assert extended.boxes[1].tolist() == [30.0, -1e5, 100 + 1e5, 60.0]
    assert rows.boxes[0].tolist() == [0.5, 20.0, 50.0, 79.5]
    corner_anchor = torch.tensor([[-40.0, 60.0, 20.0, 120.0]])
    assert mostly_inside_regions(corner_anchor, extended).tolist() == [True]
    assert mostly_inside_regions(corner_anchor, rows).tolist() == [False]
