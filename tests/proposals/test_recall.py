from __future__ import annotations

import math

import pytest
import torch

from detkit.proposals import ProposalRecall
from detkit.structures import Proposals, Targets


def proposals(*boxes: tuple[float, float, float, float]) -> Proposals:
    return Proposals(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.linspace(1, 0, len(boxes)))


def targets(*boxes: tuple[float, float, float, float], labels: tuple[int, ...] | None = None) -> Targets:
    return Targets.of(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(labels or (0,) * len(boxes), dtype=torch.int64))


def test_metrics_match_a_manual_computation() -> None:
    recall = ProposalRecall()
    # Best IoU: .6 for the first object, 1 for the second, both of class 0; .5 for the third, of class 1.
    recall.add(targets((0, 0, 10, 10), (20, 0, 30, 10), labels=(0, 0)), proposals((0, 0, 10, 6), (20, 0, 30, 10), (0, 0, 10, 5)))
    recall.add(targets((0, 0, 10, 10), labels=(1,)), proposals((0, 0, 10, 5)))
    numbers = recall.numbers()
    assert numbers.recall_50 == 1
    assert numbers.recall_70 == pytest.approx(1 / 3)
    assert numbers.mabo == pytest.approx((0.8 + 0.5) / 2)
    assert numbers.average_recall == pytest.approx(2 * (0.1 + 0.5 + 0.0) / 3)
    assert numbers.proposals == 2


def test_recall_for_fewer_proposals() -> None:
    recall = ProposalRecall()
    recall.add(targets((0, 0, 10, 10), (20, 0, 30, 10)), proposals((0, 0, 10, 4), (20, 0, 30, 10), (0, 0, 10, 9)))
    assert recall.best(1).tolist() == pytest.approx([0.4, 0.0])
    assert recall.best(2).tolist() == pytest.approx([0.4, 1.0])
    assert recall.best().tolist() == pytest.approx([0.9, 1.0])
    curve = recall.curve()
    assert [count for count, _ in curve] == [1, 2, 3]
    assert [round(numbers.recall_50, 2) for _, numbers in curve] == [0, 0.5, 1]
    assert curve[0][1].proposals == 1


def test_average_recall_is_the_area_under_recall() -> None:
    recall = ProposalRecall()
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand((50, 2), generator=generator) * 50
    boxes = torch.cat([corners, corners + 5 + torch.rand((50, 2), generator=generator) * 40], 1)
    recall.add(Targets.of(boxes[:20], torch.zeros(20, dtype=torch.int64)), Proposals(boxes[20:], torch.linspace(1, 0, 30)))
    thresholds = torch.linspace(0.5, 1, 20001)
    area = (torch.from_numpy(recall.best())[:, None] >= thresholds).float().mean().item()
    assert recall.numbers().average_recall == pytest.approx(area, abs=1e-3)


def test_images_without_objects_or_without_proposals() -> None:
    recall = ProposalRecall()
    assert math.isnan(recall.numbers().proposals)
    assert recall.curve() == []
    recall.add(targets(), proposals((0, 0, 4, 4), (0, 0, 5, 5)))
    assert math.isnan(recall.numbers().recall_50)
    assert recall.numbers().to_dict()["mabo"] is None
    recall.add(targets((0, 0, 4, 4)), proposals())
    numbers = recall.numbers()
    assert (numbers.recall_50, numbers.mabo, numbers.average_recall, numbers.proposals) == (0, 0, 0, 1)


def test_crowds_are_left_out_and_difficult_objects_included() -> None:
    recall = ProposalRecall()
    rows = targets((0, 0, 4, 4), (9, 9, 12, 12))
    rows = rows.replace(is_crowd=torch.tensor([False, True]), is_difficult=torch.tensor([True, False]))
    recall.add(rows, proposals((0, 0, 4, 4)))
    assert recall.objects == 1
    assert recall.numbers().recall_70 == 1
