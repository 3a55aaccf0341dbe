"""The page of a family strip: NMS in the browser gives our detections, and a box shows what answers for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import NARROW, WIDE, opened

from detkit.diagnostics.explanation import Explanation
from detkit.diagnostics.family import FamilyMember, strip_column
from detkit.drawing import draw_strip
from detkit.heads.postprocess import PostprocessConfig
from detkit.preprocess import Placement
from detkit.report.strip import member_data, strip_page
from detkit.structures import Detections, StageExplanation, Targets

HARD = PostprocessConfig(min_score=0.05, nms_iou=0.45, max_detections=40)
RULES = {
    "hard": HARD,
    "all classes": HARD.replace(class_agnostic=True, nms_iou=1 / 3),
    "none": HARD.replace(nms_iou=None, max_detections=25),
    "linear": HARD.replace(nms="linear"),
    "gaussian": HARD.replace(nms="gaussian", min_score=0.2),
}
NAMES = ("cat", "Tür <b>", "3")
PLACEMENT = Placement((60, 100), (96, 160), (2, 3), (100, 166))


@dataclass(frozen=True)
class Scene:
    """Boxes in crowds and the scores of three classes for each."""

    boxes: torch.Tensor
    scores: torch.Tensor

    @classmethod
    def drawn(cls, count: int = 300) -> Scene:
        generator = torch.Generator().manual_seed(1)
        centers = (
            torch.rand(12, 2, generator=generator)[torch.randint(12, (count,), generator=generator)] * torch.tensor([140.0, 80.0]) + 10
        )
        centers, sizes = centers + 3 * torch.randn(count, 2, generator=generator), 12 + 14 * torch.rand(count, 2, generator=generator)
        corners = torch.cat((centers - sizes / 2, centers + sizes / 2), 1).clamp(min=0)
        return cls(corners.clamp(max=torch.tensor([163.0, 98.0, 163.0, 98.0])), torch.rand(count, 3, generator=generator) ** 3)

    def detections(self, rules: PostprocessConfig) -> tuple[Detections, torch.Tensor]:
        boxes, selection = rules.select(self.boxes, self.scores)
        return Detections(boxes, selection.scores, selection.labels), selection.rows


def member(name: str, location: str, scene: Scene, rules: PostprocessConfig, min_score: float = 0.3) -> FamilyMember:
    (before, before_rows), (after, after_rows) = scene.detections(rules.without_nms()), scene.detections(rules)
    centers = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2
    locations = {"point": centers, "anchor": torch.cat((centers - 8, centers + 8), 1), "query": scene.boxes}[location]
    steps = {"layer 1": scene.boxes + 4, "layer 2": scene.boxes} if location == "query" else {}
    stage = StageExplanation(
        "head", location, (locations,), torch.zeros(len(locations)), scene.scores.amax(1), before, after,
        refinement=steps, before_rows=before_rows, after_rows=after_rows, rules=rules,
    )  # fmt: skip
    explanation = Explanation(torch.zeros(3, 100, 166), PLACEMENT, Targets.empty(), True, (stage,))
    return FamilyMember(name, name, NAMES, explanation, min_score)


def members() -> list[FamilyMember]:
    locations = ("point", "anchor", "query", "anchor", "point")
    return [member(name, location, Scene.drawn(), rules) for (name, rules), location in zip(RULES.items(), locations, strict=True)]


def page(folder: Path, rows: list[FamilyMember]) -> Path:
    photo = np.full((60, 100, 3), 90, np.uint8)
    path = folder / "strip ü.html"
    strip_page("photo <1>.jpg", photo, draw_strip(photo, [strip_column(row) for row in rows]), rows).write(path)
    return path


def test_the_data_of_a_page_restores_the_candidates_exactly() -> None:
    row = members()[0]
    data = json.loads(json.dumps(member_data(row)))
    np.testing.assert_array_equal(np.array(data["boxes"], np.float32).reshape(-1, 4), row.candidates.boxes.numpy())
    np.testing.assert_array_equal(np.array(data["scores"], np.float32), row.candidates.scores.numpy())
    assert [data["ids"][index] for index in data["rows"]] == row.candidate_rows.tolist()


def test_a_detector_without_candidates_has_a_card(tmp_path: Path) -> None:
    text = page(tmp_path, [member("hard", location, Scene.drawn(0), HARD) for location in ("point", "query")]).read_text("utf-8")
    assert text.count('class="member"') == 2
    assert "0 candidates before NMS" in text


def shown(card: Any) -> dict[int, tuple[float, int, list[float]]]:
    """The boxes of a card: score, label and corners by the index of the candidate."""
    script = "rows => rows.map(row => [+row.dataset.index, +row.dataset.score, +row.dataset.label, row.dataset.box.split(' ').map(Number)])"
    return {index: (score, label, box) for index, score, label, box in card.locator(".detection").evaluate_all(script)}


def assert_equal(card: Any, row: FamilyMember, detections: Detections) -> None:
    keep = detections[detections.scores >= row.min_score]
    restored = PLACEMENT.restore(keep)
    found = sorted(shown(card).values(), key=lambda item: -item[0])
    assert len(found) == len(keep)
    torch.testing.assert_close(torch.tensor([item[0] for item in found]), keep.scores, rtol=1e-5, atol=1e-6)
    assert [item[1] for item in found] == keep.labels.tolist()
    torch.testing.assert_close(torch.tensor([item[2] for item in found]), restored.boxes, rtol=1e-5, atol=1e-3)


def move(card: Any, slider: str, value: float) -> None:
    card.locator(f"input.{slider}").evaluate("(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value)


@pytest.mark.slow
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_browser_finds_our_detections_and_shows_what_answers(size: tuple[int, int], chromium: Any, tmp_path: Path) -> None:
    rows = members()
    with opened(chromium, page(tmp_path, rows), size) as result:
        cards = result.page.locator(".member").all()
        for card, row in zip(cards, rows, strict=True):
            assert_equal(card, row, row.last.after_nms)
            assert len(shown(card)) > 3
        first, scene = cards[0], Scene.drawn()
        move(first, "iou", 0.7)
        assert_equal(first, rows[0], scene.detections(HARD.replace(nms_iou=0.7))[0])
        move(first, "iou", 1)
        assert_equal(first, rows[0], scene.detections(HARD.replace(nms_iou=None))[0])
        move(first, "score", 0.8)
        assert min(score for score, _, _ in shown(first).values()) >= 0.8
        move(first, "score", 1)
        assert "No candidate scores enough" in first.locator(".answer").inner_text()
        first.locator(".reset").click()
        assert_equal(first, rows[0], rows[0].last.after_nms)
        for card, row in zip(cards, rows, strict=True):
            index = min(shown(card))
            card.locator(f'.detection[data-index="{index}"]').dispatch_event("pointerenter")
            expected = f"{row.last.location_name} {int(row.candidate_rows[index])} of 300"
            assert expected in card.locator(".answer").inner_text()
            assert card.locator(".mark").count() > 0
        before = cards[1].locator(".mark").count()
        result.page.locator("#all-answers").check()
        assert cards[1].locator(".mark").count() >= before + len(shown(cards[1])) - 1
        assert result.overflow() == 0
    assert result.problems == []
