from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import FCOS

from detkit.ops.anchors import grid_points
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.ops.match_points import match_points
from detkit.structures import Targets

STRIDES = (8, 16, 32)


def levels(side: int = 256) -> list[Tensor]:
    return [grid_points((side // stride, side // stride), (stride, stride)) for stride in STRIDES]


def targets(*boxes: tuple[float, float, float, float], crowd: list[bool] | None = None) -> Targets:
    rows = torch.tensor(boxes).reshape(-1, 4)
    return Targets.of(rows, torch.zeros(len(rows), dtype=torch.int64), is_crowd=None if crowd is None else torch.tensor(crowd))


def assigned_points(assignment: Tensor, row: int, side: int = 256) -> list[set[tuple[float, float]]]:
    """Points of each level that are assigned to a target."""
    counts = [(side // stride) ** 2 for stride in STRIDES]
    pairs = zip(levels(side), assignment.split(counts), strict=True)
    return [{tuple(point) for point in points[rows == row].tolist()} for points, rows in pairs]


@pytest.mark.oracle("torchvision", "assignment of points, FCOS", tolerance="equal")
def test_equals_torchvision() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(30, 2, generator=generator) * 200
    truth = torch.cat((corners, corners + 4 + torch.rand(30, 2, generator=generator) ** 2 * 250), 1)
    points = levels()
    anchors = torch.cat([torch.cat((p - stride / 2, p + stride / 2), 1) for p, stride in zip(points, STRIDES, strict=True)])
    model = SimpleNamespace(center_sampling_radius=1.5, head=SimpleNamespace(compute_loss=lambda *parts: parts[3]))
    (expected,) = FCOS.compute_loss(model, [{"boxes": truth}], {}, [anchors], [len(p) for p in points])
    assignment = match_points(points, targets(*truth.tolist()), strides=STRIDES, center_radius=1.5)
    assert torch.equal(assignment, expected)
    assert len(set(assignment.tolist())) > 20


def test_without_a_radius_all_points_inside_are_positive_on_the_right_level() -> None:
    small, middle = (8.0, 8.0, 40.0, 32.0), (60.0, 60.0, 160.0, 150.0)
    assignment = match_points(levels(), targets(small, middle), strides=STRIDES)
    assert assigned_points(assignment, 0) == [{(x, y) for x in (16.0, 24.0, 32.0) for y in (16.0, 24.0)}, set(), set()]
    fine, coarse, coarsest = assigned_points(assignment, 1)
    assert (104.0, 104.0) in fine, "the farthest side is 56 pixels away, less than 8 strides"
    assert (64.0, 64.0) in coarse, "96 pixels, more than 4 and less than 8 strides of 16"
    assert not (fine & coarse)
    assert not coarsest


def test_center_radius_is_measured_from_the_center() -> None:
    assignment = match_points(levels(), targets((0.0, 0.0, 60.0, 60.0)), strides=STRIDES, center_radius=1.0)
    assert assigned_points(assignment, 0) == [{(24.0, 24.0), (24.0, 32.0), (32.0, 24.0), (32.0, 32.0)}, set(), set()]


def test_the_smallest_target_wins_and_the_first_of_equal_ones() -> None:
    large, small = (0.0, 0.0, 50.0, 50.0), (10.0, 10.0, 40.0, 40.0)
    assignment = match_points(levels(), targets(large, small, small), strides=STRIDES)
    assert (16.0, 16.0) in assigned_points(assignment, 1)[0]
    assert (8.0, 8.0) in assigned_points(assignment, 0)[0]
    assert not (assignment == 2).any()


def test_crowds_are_never_positive_and_points_inside_are_ignored() -> None:
    crowd, person = (0.0, 0.0, 100.0, 100.0), (10.0, 10.0, 40.0, 40.0)
    assignment = match_points(levels(), targets(crowd, person, crowd=[True, False]), strides=STRIDES)
    assert not (assignment == 0).any()
    assert (16.0, 16.0) in assigned_points(assignment, 1)[0]
    assert (56.0, 56.0) in assigned_points(assignment, IGNORE)[0]
    assert (120.0, 16.0) in assigned_points(assignment, BACKGROUND)[0]


def test_empty_and_degenerate_targets_match_nothing() -> None:
    assert set(match_points(levels(), Targets.empty(), strides=STRIDES).tolist()) == {BACKGROUND}
    line = targets((16.0, 16.0, 16.0, 40.0))
    assert set(match_points(levels(), line, strides=STRIDES, center_radius=1.5).tolist()) == {BACKGROUND}
