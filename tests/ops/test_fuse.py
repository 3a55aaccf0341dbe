"""Weighted boxes fusion, compared with a paper_fusion implementation of the paper and, if installed, with its authors' package."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from detkit.ops import fuse
from detkit.ops.boxes import box_iou


def random_detections(
    count: int, sources: int, classes: int = 1, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Detections of the same ``count`` objects by several sources, with small differences: boxes, scores, labels, sources."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 300
    objects = torch.cat((corner, corner + 20 + torch.rand(count, 2, generator=generator) * 60), 1)
    boxes = torch.cat([objects + torch.randn(count, 4, generator=generator) * 3 for _ in range(sources)])
    labels, source = (torch.arange(count) % classes).repeat(sources), torch.arange(sources).repeat_interleave(count)
    scores = torch.rand(len(boxes), generator=generator).mul(0.98).add(0.01)
    detected = torch.rand(len(boxes), generator=generator) < 0.8
    return boxes[detected], scores[detected], labels[detected], source[detected]


def weighted_boxes_fusion(
    boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor | None, **options: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    arrays = boxes.numpy(), scores.numpy(), None if labels is None else labels.numpy()
    fused, fused_scores, fused_labels, _ = fuse.weighted_boxes_fusion(*arrays, **options)
    return torch.from_numpy(fused), torch.from_numpy(fused_scores), torch.from_numpy(fused_labels)


def paper_fusion(boxes: torch.Tensor, scores: torch.Tensor, N: int, THR: float) -> list[tuple[list[float], float]]:
    """Section 3 of arXiv:1910.13302, step by step; B, L, F, C, X, T, N and THR are its symbols."""
    B = sorted(range(len(boxes)), key=lambda i: -float(scores[i]))
    L: list[list[int]] = []
    F: list[torch.Tensor] = []
    for i in B:
        ious = [(float(box_iou(boxes[i][None], box[None].float())), -pos) for pos, box in enumerate(F)]
        best = max(ious, default=(0.0, 0))
        if best[0] > THR:
            pos = -best[1]
            L[pos].append(i)
        else:
            pos = len(L)
            L.append([i])
            F.append(boxes[i].double())
        C, X = scores[L[pos]].double(), boxes[L[pos]].double()
        F[pos] = (C[:, None] * X).sum(0) / C.sum()
    results = [(F[pos].tolist(), float(scores[L[pos]].double().mean()) * min(len(L[pos]), N) / N) for pos in range(len(L))]
    return sorted(results, key=lambda pair: -pair[1])


@pytest.mark.parametrize(("count", "sources"), [(1, 1), (12, 2), (40, 3)])
def test_equals_the_paper(count: int, sources: int) -> None:
    boxes, scores, labels, _ = random_detections(count, sources)
    fused, fused_scores, _ = weighted_boxes_fusion(boxes, scores, labels, sources=sources)
    expected = paper_fusion(boxes, scores, sources, 0.55)
    assert_close(fused, torch.tensor([box for box, _ in expected]).reshape(-1, 4), atol=1e-3, rtol=0)
    assert_close(fused_scores, torch.tensor([score for _, score in expected]), atol=1e-6, rtol=0)


@pytest.mark.oracle("ensemble-boxes", "weighted boxes fusion", tolerance="boxes 2e-3 px, scores 1e-6")
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5)])
def test_equals_the_authors_package(weights: tuple[float, float, float]) -> None:
    """The package multiplies scores by weights and divides by their mean, and keeps fused boxes in float32."""
    package = pytest.importorskip("ensemble_boxes")
    boxes, scores, labels, source = random_detections(40, 3, classes=4)
    boxes = boxes.clamp(0, 500)
    rows = [source == number for number in range(3)]
    reference = package.weighted_boxes_fusion(
        [(boxes[own] / 500).tolist() for own in rows],
        [scores[own].tolist() for own in rows],
        [labels[own].tolist() for own in rows],
        weights=list(weights),
        iou_thr=0.55,
    )
    factors = torch.tensor(weights) / (sum(weights) / 3)
    result = weighted_boxes_fusion(boxes, scores * factors[source], labels, sources=3)
    order = torch.tensor(reference[1].copy()).argsort(descending=True)
    assert_close(result[0], torch.tensor(reference[0])[order].float() * 500, atol=2e-3, rtol=0)
    assert_close(result[1], torch.tensor(reference[1])[order].float(), atol=1e-6, rtol=0)
    assert torch.equal(result[2], torch.tensor(reference[2])[order].long())


def test_hand_computed_example() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 8], [50.0, 50, 60, 60], [0.0, 0, 10, 10]])
    scores, labels = torch.tensor([0.6, 0.3, 0.9, 0.5]), torch.tensor([7, 7, 7, 2])
    fused, fused_scores, fused_labels = weighted_boxes_fusion(boxes, scores, labels, sources=2)
    assert fused_labels.tolist() == [7, 7, 2]
    assert_close(fused_scores, torch.tensor([0.45, 0.45, 0.25]))
    assert_close(fused[0 if fused[0, 0] == 0 else 1], torch.tensor([0.0, 0, 10, (6 + 2.4) / 0.9]))
    together = weighted_boxes_fusion(boxes, scores, None, sources=2)
    assert together[2].tolist() == [0, 0]
    assert_close(together[1].max(), torch.tensor(1.4 / 3))


def test_the_number_of_sources_may_depend_on_the_box() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 100, 100]])
    fused, fused_scores, _ = weighted_boxes_fusion(
        boxes, torch.tensor([0.8, 0.6]), None, sources=lambda rows: np.where(rows[:, 2] < 50, 1, 3)
    )
    assert_close(fused_scores, torch.tensor([0.8, 0.2]))
    assert torch.equal(fused, boxes)


def test_disjoint_boxes_of_one_source_are_unchanged() -> None:
    corner = torch.arange(20.0)[:, None] * 30
    boxes, scores = torch.cat((corner, corner, corner + 20, corner + 25), 1), torch.linspace(0.9, 0.1, 20)
    fused, fused_scores, labels = weighted_boxes_fusion(boxes, scores, torch.arange(20) % 3, sources=1)
    assert_close(fused, boxes)
    assert_close(fused_scores, scores)
    assert torch.equal(labels, torch.arange(20) % 3)


def test_empty_input_and_zero_scores() -> None:
    for boxes, scores in ((torch.zeros(0, 4), torch.zeros(0)), (torch.tensor([[0.0, 0, 1, 1]]), torch.zeros(1))):
        fused, fused_scores, labels = weighted_boxes_fusion(boxes, scores, torch.zeros(len(boxes), dtype=torch.int64), sources=2)
        assert (fused.shape, fused_scores.shape, labels.dtype) == ((0, 4), (0,), torch.int64)


def test_equal_scores_keep_row_order_and_max_detections_truncates() -> None:
    corner = torch.arange(30.0)[:, None] * 30
    boxes = torch.cat((corner, corner, corner + 20, corner + 25), 1)
    fused = weighted_boxes_fusion(boxes, torch.full((30,), 0.5), None, sources=1, max_detections=10)[0]
    assert torch.equal(fused, boxes[:10])


def test_a_thousand_boxes_are_fast() -> None:
    """About 30 ms on an idle core; the bound is generous because the machine may be busy."""
    boxes, scores, labels, _ = random_detections(400, 3, classes=5)
    start = time.process_time()
    weighted_boxes_fusion(boxes, scores, labels, sources=3)
    assert time.process_time() - start < 0.5
