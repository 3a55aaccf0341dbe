from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from detkit.ops.boxes import box_iou
from detkit.ops.select import Selection, batched_nms, select, top_scores


def random_boxes(count: int, seed: int = 0, size: float = 500.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * size
    return torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=generator) * 80), 1)


def random_scores(count: int, seed: int = 0) -> torch.Tensor:
    """Distinct scores in random order."""
    return (torch.randperm(count, generator=torch.Generator().manual_seed(seed)).double() / count).float()


def greedy(boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, nms_iou: float) -> list[int]:
    """NMS by its definition, one box after another."""
    overlapping = ((box_iou(boxes, boxes) > nms_iou) & (labels[:, None] == labels)).numpy()
    kept: list[int] = []
    for row in torch.sort(scores, descending=True, stable=True).indices.tolist():
        if not overlapping[row, kept].any():
            kept.append(row)
    return kept


@pytest.mark.parametrize(("count", "classes"), [(1, 1), (300, 1), (300, 3), (700, 5), (700, 200)])
def test_batched_nms_equals_greedy_nms(count: int, classes: int) -> None:
    boxes, scores = random_boxes(count), random_scores(count)
    labels = torch.arange(count) % classes
    assert batched_nms(boxes, scores, labels, nms_iou=0.4).tolist() == greedy(boxes, scores, labels, 0.4)


@pytest.mark.parametrize("max_detections", [1, 10, 100, 600, 5000])
def test_max_detections_only_truncates(max_detections: int) -> None:
    boxes, scores, labels = random_boxes(3000, size=100), random_scores(3000), torch.arange(3000) % 3
    whole = batched_nms(boxes, scores, labels, nms_iou=0.5)
    assert torch.equal(batched_nms(boxes, scores, labels, nms_iou=0.5, max_detections=max_detections), whole[:max_detections])


def test_labels_are_separate_unless_class_agnostic() -> None:
    boxes, scores = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(3, 1), torch.tensor([0.5, 0.9, 0.7])
    assert batched_nms(boxes, scores, torch.tensor([0, 1, 2]), nms_iou=0.5).tolist() == [1, 2, 0]
    assert batched_nms(boxes, scores, None, nms_iou=0.5).tolist() == [1]


def test_a_thousand_classes_lose_no_precision() -> None:
    """Two boxes of every class with an IoU just above or below the threshold, which an offset in float32 would blur."""
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


def test_equal_scores_keep_row_order() -> None:
    boxes = random_boxes(2000, size=5000)
    scores = torch.full((2000,), 0.5)
    kept = batched_nms(boxes, scores, torch.zeros(2000, dtype=torch.int64), nms_iou=0.5)
    assert torch.equal(kept, kept.sort().values)
    assert torch.equal(top_scores(scores, top_k=7).rows, torch.arange(7))
    table = torch.tensor([[0.5, 0.9, 0.5], [0.5, 0.5, 0.2]])
    selection = top_scores(table, top_k=4)
    assert list(zip(selection.rows.tolist(), selection.labels.tolist(), strict=True)) == [(0, 1), (0, 0), (0, 2), (1, 0)]


def test_top_scores_equal_a_sort() -> None:
    table = torch.randn(50, 7, generator=torch.Generator().manual_seed(3))
    selection = top_scores(table, min_score=0.0, top_k=60)
    assert_close(selection.scores, table.flatten().sort(descending=True).values[:60].clamp(min=0))
    assert_close(table[selection.rows, selection.labels], selection.scores)
    assert len(top_scores(table, min_score=100.0)) == 0


def test_top_scores_of_each_level() -> None:
    scores = torch.tensor([9.0, 8.0, 7.0, 1.0, 3.0, 2.0, 5.0])
    selection = top_scores(scores, top_k=2, levels=(3, 3, 1))
    assert selection.rows.tolist() == [0, 1, 4, 5, 6]
    assert selection.levels.tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("count", [0, 1])
def test_no_detections(count: int) -> None:
    limits = {"min_score": 0.5, "min_size": 1.0, "pre_nms_top_k": 5, "max_detections": 10}
    boxes, selection = select(torch.zeros(count, 3, 4), torch.zeros(count, 3), **limits)
    assert boxes.shape == (0, 4)
    assert (len(selection), selection.labels.dtype, selection.scores.dtype) == (0, torch.int64, torch.float32)
    assert batched_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), nms_iou=0.5, max_detections=3).tolist() == []


def test_boxes_per_class_shared_or_computed_on_demand() -> None:
    shared, scores = random_boxes(20), torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
    per_class = shared[:, None] + torch.arange(3.0)[None, :, None]
    counts: list[int] = []

    def compute(selection: Selection) -> torch.Tensor:
        counts.append(len(selection))
        return per_class[selection.rows, selection.labels]

    boxes, selection = select(per_class, scores, min_score=0.5, max_detections=10)
    assert_close(boxes, per_class[selection.rows, selection.labels])
    assert_close(select(compute, scores, min_score=0.5, max_detections=10)[0], boxes)
    assert counts == [int((scores > 0.5).sum())]
    shared_boxes, selection = select(shared, scores, min_score=0.5, max_detections=10)
    assert_close(shared_boxes, shared[selection.rows])


def test_nms_per_level_instead_of_label() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(4, 1)
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    counts = {nms_per: len(select(boxes, scores, levels=(2, 2), nms_per=nms_per)[1]) for nms_per in ("labels", "levels", None)}
    assert counts == {"labels": 1, "levels": 2, None: 1}
    assert len(select(boxes, scores, nms_iou=None, max_detections=3)[1]) == 3


def test_thin_boxes_and_nan_are_removed() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 0.001, 10.0], [0.0, float("nan"), 5.0, 10.0]])
    assert select(boxes, torch.tensor([0.1, 0.9, 0.8]), min_size=0.01)[1].rows.tolist() == [0]


def test_half_precision_scores_become_float32() -> None:
    boxes, selection = select(random_boxes(10), torch.rand(10, 2).bfloat16(), min_score=0.1)
    assert boxes.dtype == selection.scores.dtype == torch.float32


def test_a_hundred_thousand_candidates() -> None:
    count = 100_000
    boxes, scores = random_boxes(count, size=1000), random_scores(count)
    labels = torch.arange(count) % 80
    kept = batched_nms(boxes, scores, labels, nms_iou=0.5, max_detections=100)
    top = torch.sort(scores, descending=True).indices[:3000]
    expected = [int(top[row]) for row in greedy(boxes[top[:400]], scores[top[:400]], labels[top[:400]], 0.5)[:100]]
    assert kept.tolist() == expected


@pytest.mark.parametrize("top_k", [None, 3, 40, 1000])
@pytest.mark.parametrize("min_score", [None, 0.3])
def test_top_scores_with_many_ties(top_k: int | None, min_score: float | None) -> None:
    """Compared with a stable sort of all entries."""
    table = torch.randint(0, 7, (60, 9), generator=torch.Generator().manual_seed(0)).float() / 7
    selection = top_scores(table, min_score=min_score, top_k=top_k)
    order = torch.sort(table.flatten(), descending=True, stable=True).indices
    expected = order[table.flatten()[order] > (-1.0 if min_score is None else min_score)][:top_k]
    assert torch.equal(selection.rows * 9 + selection.labels, expected)


def test_top_k_of_each_label() -> None:
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.3], [0.7, 0.3], [0.6, 0.2]])
    boxes = torch.tensor([[20.0 * row, 0.0, 20.0 * row + 10, 10.0] for row in range(4)])
    selected_boxes, selection = select(boxes, scores, pre_nms_top_k_per_class=2)
    # For the first label rows 0 and 1; for the second rows 1 and 2, whose scores are equal, in row order.
    assert list(zip(selection.rows.tolist(), selection.labels.tolist(), strict=True)) == [(0, 0), (1, 0), (1, 1), (2, 1)]
    assert_close(selected_boxes, boxes[selection.rows])
    all_boxes, _ = select(boxes, scores, pre_nms_top_k_per_class=4)
    assert len(all_boxes) == 8


def test_top_k_per_label_is_applied_before_nms() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]])
    _, selection = select(boxes, torch.tensor([0.9, 0.8, 0.7]), pre_nms_top_k_per_class=2)
    assert selection.rows.tolist() == [0]  # NMS removed the second, and the third was not a candidate
