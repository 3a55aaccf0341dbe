from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from detkit.ops.boxes import box_iou
from detkit.ops.select import Selection, batched_nms, top_scores, select


def random_boxes(count: int, seed: int = 0, size: float = 500.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * size
    return torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=generator) * 80), 1)


def random_scores(count: int, seed: int = 0) -> torch.Tensor:
    """Different scores in random order."""
    return (torch.randperm(count, generator=torch.Generator().manual_seed(seed)).double() / count).float()


def greedy(boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, nms_iou: float) -> list[int]:
    """The definition, one box after another."""
    falls = ((box_iou(boxes, boxes) > nms_iou) & (labels[:, None] == labels)).numpy()
    kept: list[int] = []
    for row in torch.sort(scores, descending=True, stable=True).indices.tolist():
        if not falls[row, kept].any():
            kept.append(row)
    return kept


@pytest.mark.parametrize(("count", "classes"), [(1, 1), (300, 1), (300, 3), (700, 5), (700, 200)])
def test_suppression_is_the_greedy_one(count: int, classes: int) -> None:
    boxes, scores = random_boxes(count), random_scores(count)
    labels = torch.arange(count) % classes
    assert batched_nms(boxes, scores, labels, nms_iou=0.4).tolist() == greedy(boxes, scores, labels, 0.4)


@pytest.mark.parametrize("max_detections", [1, 10, 100, 600, 5000])
def test_a_limit_only_cuts(max_detections: int) -> None:
    boxes, scores, labels = random_boxes(3000, size=100), random_scores(3000), torch.arange(3000) % 3
    whole = batched_nms(boxes, scores, labels, nms_iou=0.5)
    assert torch.equal(batched_nms(boxes, scores, labels, nms_iou=0.5, max_detections=max_detections), whole[:max_detections])


def test_labels_stay_apart_and_class_agnostic_does_not_ask() -> None:
    boxes, scores = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(3, 1), torch.tensor([0.5, 0.9, 0.7])
    assert batched_nms(boxes, scores, torch.tensor([0, 1, 2]), nms_iou=0.5).tolist() == [1, 2, 0]
    assert batched_nms(boxes, scores, None, nms_iou=0.5).tolist() == [1]


def test_a_thousand_classes_lose_no_precision() -> None:
    """Two boxes of every class whose IoU lies a hair above or below the limit; a shift in float32 would blur it."""
    classes, rows = 1200, torch.arange(1200)
    first = torch.tensor([3.0, 5.0, 13.0, 15.0]).repeat(classes, 1)
    second = first.clone()
    second[:, 2] = torch.where(rows % 2 == 0, 13.0 + 10 * (1 / 0.6 - 1) - 2e-4, 13.0 + 10 * (1 / 0.6 - 1) + 2e-4)
    far = torch.tensor([[0.0, 0.0, 4000.0, 4000.0]])
    boxes = torch.cat((first, second, far))
    labels = torch.cat((rows, rows, torch.tensor([classes])))
    kept = batched_nms(boxes, torch.linspace(1, 0.1, len(boxes)), labels, nms_iou=0.6)
    expected = [*range(classes), *(classes + row for row in range(classes) if row % 2), 2 * classes]
    assert sorted(kept.tolist()) == expected


def test_equal_scores_keep_the_order_of_rows() -> None:
    boxes = random_boxes(2000, size=5000)
    scores = torch.full((2000,), 0.5)
    kept = batched_nms(boxes, scores, torch.zeros(2000, dtype=torch.int64), nms_iou=0.5)
    assert torch.equal(kept, kept.sort().values)
    assert torch.equal(top_scores(scores, max_detections=7).rows, torch.arange(7))
    table = torch.tensor([[0.5, 0.9, 0.5], [0.5, 0.5, 0.2]])
    chosen = top_scores(table, max_detections=4)
    assert list(zip(chosen.rows.tolist(), chosen.labels.tolist(), strict=True)) == [(0, 1), (0, 0), (0, 2), (1, 0)]


def test_best_is_the_sorted_top() -> None:
    table = torch.randn(50, 7, generator=torch.Generator().manual_seed(3))
    chosen = top_scores(table, min_score=0.0, max_detections=60)
    assert_close(chosen.scores, table.flatten().sort(descending=True).values[:60].clamp(min=0))
    assert_close(table[chosen.rows, chosen.labels], chosen.scores)
    assert len(top_scores(table, min_score=100.0)) == 0


def test_each_level_has_its_own_best() -> None:
    scores = torch.tensor([9.0, 8.0, 7.0, 1.0, 3.0, 2.0, 5.0])
    chosen = top_scores(scores, max_detections=2, levels=(3, 3, 1))
    assert chosen.rows.tolist() == [0, 1, 4, 5, 6]
    assert chosen.levels.tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_in_nothing_out(count: int) -> None:
    boxes, chosen = select(torch.zeros(count, 3, 4), torch.zeros(count, 3), min_score=0.5, min_size=1.0, pre_nms_top_k=5, max_detections=10)
    assert boxes.shape == (0, 4)
    assert (len(chosen), chosen.labels.dtype, chosen.scores.dtype) == (0, torch.int64, torch.float32)
    assert batched_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), nms_iou=0.5, max_detections=3).tolist() == []


def test_boxes_of_each_class_or_shared_or_made_on_demand() -> None:
    shared, scores = random_boxes(20), torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
    own = shared[:, None] + torch.arange(3.0)[None, :, None]
    made: list[int] = []

    def make(chosen: Selection) -> torch.Tensor:
        made.append(len(chosen))
        return own[chosen.rows, chosen.labels]

    boxes, chosen = select(own, scores, min_score=0.5, max_detections=10)
    assert_close(boxes, own[chosen.rows, chosen.labels])
    assert_close(select(make, scores, min_score=0.5, max_detections=10)[0], boxes)
    assert made == [int((scores > 0.5).sum())]
    alike, chosen = select(shared, scores, min_score=0.5, max_detections=10)
    assert_close(alike, shared[chosen.rows])


def test_levels_can_stay_apart_instead_of_labels() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(4, 1)
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    kinds = {apart: len(select(boxes, scores, levels=(2, 2), apart=apart)[1]) for apart in ("labels", "levels", None)}
    assert kinds == {"labels": 1, "levels": 2, None: 1}
    assert len(select(boxes, scores, nms_iou=None, max_detections=3)[1]) == 3


def test_thin_boxes_and_nan_are_dropped() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 0.001, 10.0], [0.0, float("nan"), 5.0, 10.0]])
    assert select(boxes, torch.tensor([0.1, 0.9, 0.8]), min_size=0.01)[1].rows.tolist() == [0]


def test_half_precision_scores_come_out_in_float32() -> None:
    boxes, chosen = select(random_boxes(10), torch.rand(10, 2).bfloat16(), min_score=0.1)
    assert boxes.dtype == chosen.scores.dtype == torch.float32


def test_a_hundred_thousand_candidates() -> None:
    count = 100_000
    boxes, scores = random_boxes(count, size=1000), random_scores(count)
    labels = torch.arange(count) % 80
    found = batched_nms(boxes, scores, labels, nms_iou=0.5, max_detections=100)
    few = torch.sort(scores, descending=True).indices[:3000]
    expected = [int(few[row]) for row in greedy(boxes[few[:400]], scores[few[:400]], labels[few[:400]], 0.5)[:100]]
    assert found.tolist() == expected


@pytest.mark.parametrize("max_detections", [None, 3, 40, 1000])
@pytest.mark.parametrize("min_score", [None, 0.3])
def test_best_of_a_table_with_many_equal_scores(max_detections: int | None, min_score: float | None) -> None:
    """Against a plain stable sort of all entries."""
    table = torch.randint(0, 7, (60, 9), generator=torch.Generator().manual_seed(0)).float() / 7
    chosen = top_scores(table, min_score=min_score, max_detections=max_detections)
    order = torch.sort(table.flatten(), descending=True, stable=True).indices
    expected = order[table.flatten()[order] > (-1.0 if min_score is None else min_score)][:max_detections]
    assert torch.equal(chosen.rows * 9 + chosen.labels, expected)


def test_each_label_has_its_own_best() -> None:
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.3], [0.7, 0.3], [0.6, 0.2]])
    boxes = torch.tensor([[20.0 * row, 0.0, 20.0 * row + 10, 10.0] for row in range(4)])
    found, chosen = select(boxes, scores, pre_nms_top_k_per_class=2)
    # Of the first label rows 0 and 1; of the second 1 and 2, which are equal and so in their order.
    assert list(zip(chosen.rows.tolist(), chosen.labels.tolist(), strict=True)) == [(0, 0), (1, 0), (1, 1), (2, 1)]
    assert_close(found, boxes[chosen.rows])
    every, _ = select(boxes, scores, pre_nms_top_k_per_class=4)
    assert len(every) == 8


def test_the_best_of_each_label_are_chosen_before_suppression() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]])
    _, chosen = select(boxes, torch.tensor([0.9, 0.8, 0.7]), pre_nms_top_k_per_class=2)
    assert chosen.rows.tolist() == [0]  # the second fell to the first, and the third was no candidate
