"""Soft suppression, against the algorithm of the paper written down word by word."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch.testing import assert_close

from detkit.ops.select import top_scores, select, soft_nms


def crowded(count: int, classes: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Boxes of which many overlap, scores, labels."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 100
    boxes = torch.cat((corner, corner + 20 + torch.rand(count, 2, generator=generator) * 60), 1)
    return boxes, torch.rand(count, generator=generator), torch.arange(count) % classes


def overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union


def soft_nms_of_the_paper(boxes: list[list[float]], scores: list[float], kind: str, nms_iou: float, sigma: float) -> list[tuple[int, float]]:
    """Figure 2 of arXiv:1704.04503: B, S, D and M are its names."""
    B, S, D = list(range(len(boxes))), list(scores), []
    while B:
        M = max(B, key=lambda i: (S[i], -i))
        D.append((M, S[M]))
        B.remove(M)
        for i in B:
            u = overlap(boxes[M], boxes[i])
            if kind == "linear":
                S[i] *= 1.0 if u <= nms_iou else 1 - u
            else:
                S[i] *= math.exp(-u * u / sigma)
    return D


@pytest.mark.parametrize("decay", ["linear", "gaussian"])
@pytest.mark.parametrize("classes", [1, 4])
def test_it_is_the_papers(kind: str, classes: int) -> None:
    boxes, scores, labels = crowded(90, classes)
    expected = []
    for label in range(classes):
        own = (labels == label).nonzero().flatten().tolist()
        found = soft_nms_of_the_paper(boxes[own].tolist(), scores[own].tolist(), kind, 0.4, 0.6)
        expected += [(own[row], score) for row, score in found if score > 0.01]
    expected.sort(key=lambda pair: -pair[1])
    rows, left = soft_nms(boxes, scores, labels, kind=kind, nms_iou=0.4, sigma=0.6, min_score=0.01)  # type: ignore[arg-type]
    assert rows.tolist() == [row for row, _ in expected]
    assert_close(left, torch.tensor([score for _, score in expected]), atol=1e-6, rtol=1e-5)
    assert 10 < len(rows) < 90


def test_by_hand() -> None:
    """IoU of the first two is 1/3; the third is far away; the fourth has another label."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [5.0, 0, 15, 10], [50.0, 0, 60, 10], [0.0, 0, 10, 10]])
    scores, labels = torch.tensor([0.9, 0.6, 0.5, 0.3]), torch.tensor([0, 0, 0, 1])
    rows, left = soft_nms(boxes, scores, labels, kind="linear", nms_iou=0.3)
    assert rows.tolist() == [0, 2, 1, 3]
    assert_close(left, torch.tensor([0.9, 0.5, 0.4, 0.3]))
    assert soft_nms(boxes, scores, labels, kind="linear", nms_iou=0.4)[1].tolist() == scores.tolist()
    assert_close(soft_nms(boxes, scores, labels, kind="gaussian", sigma=0.5)[1][2], torch.tensor(0.6 * math.exp(-2 / 9)))
    rows, left = soft_nms(boxes, scores, None, kind="gaussian", sigma=0.5)
    assert_close(left[-1], torch.tensor(0.3 * math.exp(-2) * math.exp(-2 / 9)))


def test_what_comes_in_stays_as_it_was() -> None:
    boxes, scores, labels = crowded(30)
    copies = boxes.clone(), scores.clone()
    soft_nms(boxes, scores, labels, kind="gaussian")
    assert torch.equal(boxes, copies[0])
    assert torch.equal(scores, copies[1])


@pytest.mark.parametrize("decay", ["linear", "gaussian"])
def test_a_limit_only_cuts_and_scores_only_fall(kind: str) -> None:
    boxes, scores, labels = crowded(200, 3)
    rows, left = soft_nms(boxes, scores, labels, kind=kind, min_score=0.0)  # type: ignore[arg-type]
    assert (left <= scores[rows]).all()
    assert (left[:-1] >= left[1:]).all()
    for limit in (0, 1, 50, 500):
        few, few_left = soft_nms(boxes, scores, labels, kind=kind, min_score=0.0, limit=limit)  # type: ignore[arg-type]
        assert torch.equal(few, rows[:limit])
        assert torch.equal(few_left, left[:limit])


def test_equal_scores_keep_the_order_of_rows() -> None:
    corner = torch.arange(50.0)[:, None] * 100
    boxes = torch.cat((corner, corner, corner + 10, corner + 10), 1)
    assert soft_nms(boxes, torch.full((50,), 0.5), None, kind="linear")[0].tolist() == list(range(50))


def test_nothing_in_nothing_out() -> None:
    rows, left = soft_nms(torch.zeros(0, 4), torch.zeros(0), None, kind="linear")
    assert (rows.dtype, rows.shape, left.shape) == (torch.int64, (0,), (0,))


def test_select_softens_after_its_candidates_and_before_its_limit() -> None:
    boxes, _, _ = crowded(120)
    table = torch.rand(120, 3, generator=torch.Generator().manual_seed(4))
    numbers = {"min_score": 0.2, "pre_nms_top_k": 100}
    found, chosen = select(boxes, table, nms="gaussian", sigma=0.5, nms_iou=0.5, limit=40, **numbers)
    entries = top_scores(table, min_score=0.2, limit=100)
    rows, left = soft_nms(boxes[entries.rows], entries.scores, entries.labels, kind="gaussian", sigma=0.5, min_score=0.2, limit=40)
    assert torch.equal(chosen.rows, entries.rows[rows])
    assert torch.equal(chosen.scores, left)
    assert torch.equal(found, boxes[chosen.rows])
    assert (chosen.scores > 0.2).all()
    _, chosen = select(boxes, table, nms="gaussian", nms_iou=None, **numbers)
    assert torch.equal(chosen.scores, entries.scores)
    agnostic = select(boxes, table, nms="linear", nms_iou=0.3, apart=None, **numbers)[1]
    assert len(agnostic) < len(select(boxes, table, nms="linear", nms_iou=0.3, **numbers)[1])


def test_a_thousand_candidates_are_quick() -> None:
    """Some 5 ms on an idle core; the bound is wide because others may be at work."""
    boxes, scores, labels = crowded(1000, 5)
    soft_nms(boxes[:50], scores[:50], labels[:50], kind="gaussian")
    start = time.process_time()
    soft_nms(boxes, scores, labels, kind="gaussian", limit=100)
    assert time.process_time() - start < 0.2
