from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from detkit.drawing import draw_locations, draw_matches, draw_refinement, draw_scores
from detkit.drawing.palette import color_of, heat_color
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.structures import Detections, StageExplanation, Targets

GRAY = np.full((500, 600, 3), 90, np.uint8)
TARGETS = Targets.of(torch.tensor([[100.0, 100, 200, 200], [300.0, 300, 400, 400]]), torch.tensor([0, 1]))


def stage(location_name: str, locations: tuple[torch.Tensor, ...], assignment: list[int]) -> StageExplanation:
    count = sum(len(level) for level in locations)
    boxes = torch.tensor([[100.0, 100, 200, 200], [300.0, 300, 400, 400]])
    detections = Detections(boxes, torch.tensor([0.9, 0.2]), torch.tensor([0, 1]))
    return StageExplanation(
        "head", location_name, locations, torch.tensor(assignment), torch.linspace(1, 0, count), detections, detections[:1]
    )


def has_color(image: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((image == np.array(color)).all(2).any())


ANCHORS = (torch.tensor([[250.0, 200, 350, 300], [260.0, 190, 340, 310], [0.0, 0, 20, 20]]), torch.tensor([[0.0, 0, 500, 400]]))
POINTS = (torch.tensor([[150.0, 150], [320, 320], [10, 10]]),)


def test_one_panel_per_level_in_its_color() -> None:
    sheet = draw_locations(GRAY, stage("anchor", ANCHORS, [0, BACKGROUND, IGNORE, BACKGROUND]))
    assert sheet.shape[1] == 2 * 600 + 8
    assert has_color(sheet[:, :600], color_of(0))
    assert not has_color(sheet[:, :600], color_of(1))
    assert has_color(sheet[:, 608:], color_of(1))
    points = draw_locations(GRAY, stage("point", POINTS, [0, 1, BACKGROUND]))
    assert points.shape[1] == 600
    assert has_color(points, color_of(0))


def test_locations_without_a_grid_show_their_scores() -> None:
    sheet = draw_locations(GRAY, stage("query", (ANCHORS[0],), [0, BACKGROUND, BACKGROUND]))
    assert all(has_color(sheet, heat_color(score)) for score in (1.0, 0.5, 0.0))


def test_assigned_locations_have_the_color_of_their_object() -> None:
    drawn = draw_matches(GRAY, stage("anchor", ANCHORS, [0, BACKGROUND, IGNORE, BACKGROUND]), TARGETS, ("cat", None))
    top = drawn.shape[0] - 500
    assert tuple(drawn[top + 200, 300]) == color_of(0)  # the upper side of the assigned anchor
    assert tuple(drawn[top + 190, 300]) == (90, 90, 90)  # the upper side of a background anchor
    assert has_color(drawn, color_of(1))
    points = draw_matches(GRAY, stage("point", POINTS, [0, IGNORE, BACKGROUND]), TARGETS, ("cat", None))
    assert tuple(points[top + 150, 150]) == color_of(0)
    assert tuple(points[top + 320, 320]) == (128, 128, 128)
    assert tuple(points[top + 10, 10]) == (90, 90, 90)


def test_scores_before_and_after_nms() -> None:
    sheet = draw_scores(GRAY, stage("anchor", ANCHORS, [0] * 4), ("cat", "dog"), min_score=0.5)
    assert sheet.shape[1] == 2 * 600 + 8
    assert has_color(sheet[:, :600], heat_color(0.2))
    assert not has_color(sheet[:, 608:], heat_color(0.2))
    assert has_color(sheet[:, 608:], heat_color(0.9))


def test_nothing_to_draw() -> None:
    empty = StageExplanation(
        "head", "proposal", (torch.zeros(0, 4),), torch.zeros(0).long(), torch.zeros(0), Detections.empty(), Detections.empty()
    )
    for sheet in (draw_locations(GRAY, empty), draw_matches(GRAY, empty, Targets.empty(), ()), draw_scores(GRAY, empty, ())):
        assert sheet.shape[2] == 3


def test_inputs_are_not_modified() -> None:
    draw_matches(GRAY, stage("anchor", ANCHORS, [0] * 4), TARGETS, ("cat", "dog"))
    assert (GRAY == 90).all()


def test_heat_color_goes_from_blue_to_red() -> None:
    assert [heat_color(score) for score in (-1.0, 0.0, 0.5, 1.0, 2.0)] == [(0, 0, 255), (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 0, 0)]


def test_refinement_shows_matched_queries_step_by_step() -> None:
    """Query 1 moves onto the object; query 0 is not matched and is not drawn."""
    first, last = (
        torch.tensor([[0.0, 0.0, 20.0, 20.0], [40.0, 40.0, 80.0, 80.0]]),
        torch.tensor([[0.0, 0.0, 20.0, 20.0], [60.0, 60.0, 100.0, 100.0]]),
    )
    target = Targets.of(last[1:], torch.tensor([0]))
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    queries = StageExplanation(
        "head", "query", (last,), torch.tensor([-1, 0]), torch.ones(2), nothing, nothing, refinement={"selection": first, "layer 1": last}
    )
    image = np.zeros((120, 120, 3), np.uint8)
    both = draw_refinement(image, queries, target)
    alone = draw_refinement(image, replace(queries, refinement={"layer 1": last}), target)
    assert both.shape[1] > alone.shape[1]
    moved = draw_refinement(image, replace(queries, refinement={"selection": first + 5, "layer 1": last}), target)
    assert not np.array_equal(both, moved)
    assert np.array_equal(
        both,
        draw_refinement(image, replace(queries, refinement={"selection": torch.stack((first[0] + 50, first[1])), "layer 1": last}), target),
    )


def test_refinement_without_matches() -> None:
    nothing, boxes = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64)), torch.zeros(3, 4)
    queries = StageExplanation(
        "head", "query", (boxes,), torch.full((3,), -1), torch.ones(3), nothing, nothing, refinement={"layer 1": boxes}
    )
    assert draw_refinement(np.zeros((60, 60, 3), np.uint8), queries, Targets.empty()).any()


def test_the_plural_of_a_query() -> None:
    assert stage("query", POINTS, [0, 0, 0]).location_names == "queries"
    assert stage("anchor", POINTS, [0, 0, 0]).location_names == "anchors"
