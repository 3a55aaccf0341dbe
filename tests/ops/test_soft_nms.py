"""Soft-NMS, compared with a literal implementation of the paper's algorithm."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch.testing import assert_close

from detkit.ops.select import select, soft_nms, top_scores


def crowded(count: int, classes: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Many overlapping boxes, their scores and labels."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 100
    boxes = torch.cat((corner, corner + 20 + torch.rand(count, 2, generator=generator) * 60), 1)
    return boxes, torch.rand(count, generator=generator), torch.arange(count) % classes


def iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union


def paper_soft_nms(boxes: list[list[float]], scores: list[float], kind: str, nms_iou: float, sigma: float) -> list[tuple[int, float]]:
    """Figure 2 of arXiv:1704.04503; B, S, D and M are its symbols."""
    B, S, D = list(range(len(boxes))), list(scores), []
    while B:
        M = max(B, key=lambda i: (S[i], -i))
        D.append((M, S[M]))
        B.remove(M)
        for i in B:
            iou_with_best = iou(boxes[M], boxes[i])
            if kind == "linear":
                S[i] *= 1.0 if iou_with_best <= nms_iou else 1 - iou_with_best
            else:
                S[i] *= math.exp(-iou_with_best * iou_with_best / sigma)
    return D


@pytest.mark.parametrize("kind", ["linear", "gaussian"])
@pytest.mark.parametrize("classes", [1, 4])
def test_equals_the_paper(kind: str, classes: int) -> None:
    boxes, scores, labels = crowded(90, classes)
    expected = []
    for label in range(classes):
        own_rows = (labels == label).nonzero().flatten().tolist()
        kept = paper_soft_nms(boxes[own_rows].tolist(), scores[own_rows].tolist(), kind, 0.4, 0.6)
        expected += [(own_rows[row], score) for row, score in kept if score > 0.01]
    expected.sort(key=lambda pair: -pair[1])
    rows, reduced = soft_nms(boxes, scores, labels, kind=kind, nms_iou=0.4, sigma=0.6, min_score=0.01)  # type: ignore[arg-type]
    assert rows.tolist() == [row for row, _ in expected]
    assert_close(reduced, torch.tensor([score for _, score in expected]), atol=1e-6, rtol=1e-5)
    assert 10 < len(rows) < 90


def test_hand_computed_example() -> None:
    """The first two have an IoU of 1/3, the third is far away, and the fourth has another label."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [5.0, 0, 15, 10], [50.0, 0, 60, 10], [0.0, 0, 10, 10]])
    scores, labels = torch.tensor([0.9, 0.6, 0.5, 0.3]), torch.tensor([0, 0, 0, 1])
    rows, reduced = soft_nms(boxes, scores, labels, kind="linear", nms_iou=0.3)
    assert rows.tolist() == [0, 2, 1, 3]
    assert_close(reduced, torch.tensor([0.9, 0.5, 0.4, 0.3]))
    assert soft_nms(boxes, scores, labels, kind="linear", nms_iou=0.4)[1].tolist() == scores.tolist()
    assert_close(soft_nms(boxes, scores, labels, kind="gaussian", sigma=0.5)[1][2], torch.tensor(0.6 * math.exp(-2 / 9)))
    rows, reduced = soft_nms(boxes, scores, None, kind="gaussian", sigma=0.5)
    assert_close(reduced[-1], torch.tensor(0.3 * math.exp(-2) * math.exp(-2 / 9)))


def test_inputs_are_not_modified() -> None:
    boxes, scores, labels = crowded(30)
    copies = boxes.clone(), scores.clone()
    soft_nms(boxes, scores, labels, kind="gaussian")
    assert torch.equal(boxes, copies[0])
    assert torch.equal(scores, copies[1])


@pytest.mark.parametrize("kind", ["linear", "gaussian"])
def test_max_detections_only_truncates_and_scores_only_decrease(kind: str) -> None:
    boxes, scores, labels = crowded(200, 3)
    rows, reduced = soft_nms(boxes, scores, labels, kind=kind, min_score=0.0)  # type: ignore[arg-type]
    assert (reduced <= scores[rows]).all()
    assert (reduced[:-1] >= reduced[1:]).all()
    for max_detections in (0, 1, 50, 500):
        top_rows, top_reduced = soft_nms(boxes, scores, labels, kind=kind, min_score=0.0, max_detections=max_detections)  # type: ignore[arg-type]
        assert torch.equal(top_rows, rows[:max_detections])
        assert torch.equal(top_reduced, reduced[:max_detections])


def test_equal_scores_keep_row_order() -> None:
    corner = torch.arange(50.0)[:, None] * 100
    boxes = torch.cat((corner, corner, corner + 10, corner + 10), 1)
    assert soft_nms(boxes, torch.full((50,), 0.5), None, kind="linear")[0].tolist() == list(range(50))


def test_empty_input() -> None:
    rows, reduced = soft_nms(torch.zeros(0, 4), torch.zeros(0), None, kind="linear")
    assert (rows.dtype, rows.shape, reduced.shape) == (torch.int64, (0,), (0,))


def test_select_applies_soft_nms_between_the_two_top_k() -> None:
    boxes, _, _ = crowded(120)
    table = torch.rand(120, 3, generator=torch.Generator().manual_seed(4))
    options = {"min_score": 0.2, "pre_nms_top_k": 100}
    selected_boxes, selection = select(boxes, table, nms="gaussian", sigma=0.5, nms_iou=0.5, max_detections=40, **options)
    entries = top_scores(table, min_score=0.2, top_k=100)
    rows, reduced = soft_nms(
        boxes[entries.rows], entries.scores, entries.labels, kind="gaussian", sigma=0.5, min_score=0.2, max_detections=40
    )
    assert torch.equal(selection.rows, entries.rows[rows])
    assert torch.equal(selection.scores, reduced)
    assert torch.equal(selected_boxes, boxes[selection.rows])
    assert (selection.scores > 0.2).all()
    _, selection = select(boxes, table, nms="gaussian", nms_iou=None, **options)
    assert torch.equal(selection.scores, entries.scores)
    agnostic = select(boxes, table, nms="linear", nms_iou=0.3, nms_per=None, **options)[1]
    assert len(agnostic) < len(select(boxes, table, nms="linear", nms_iou=0.3, **options)[1])


def test_a_thousand_candidates_are_fast() -> None:
    """About 5 ms on an idle core; the bound is generous because the machine may be busy."""
    boxes, scores, labels = crowded(1000, 5)
    soft_nms(boxes[:50], scores[:50], labels[:50], kind="gaussian")
    start = time.process_time()
    soft_nms(boxes, scores, labels, kind="gaussian", max_detections=100)
    assert time.process_time() - start < 0.2
