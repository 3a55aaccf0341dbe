from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close
from torchvision.ops import box_convert, generalized_box_iou

from detkit.heads.queries.detr import DETRHead, DETRHeadConfig, valid_cells
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.structures import Batch, Targets

SIZES = ((64, 96), (40, 80))
CONFIG = DETRHeadConfig(num_queries=6, channels=16, attention_heads=2, encoder_layers=1, decoder_layers=3, hidden=32)


def batch() -> Batch:
    return Batch(torch.zeros(2, 3, 64, 96), SIZES)


def head(**changes: object) -> DETRHead:
    torch.manual_seed(0)
    return CONFIG.replace(**changes).build((8,), (16,), 4).eval()


def predict(head: DETRHead) -> tuple[Tensor, Tensor]:
    logits, boxes = head([torch.randn(2, 8, 4, 6, generator=torch.Generator().manual_seed(1))], batch())
    return logits, boxes


def truth() -> list[Targets]:
    boxes = torch.tensor([[5.0, 6.0, 40.0, 50.0], [50.0, 10.0, 90.0, 30.0], [0.0, 0.0, 96.0, 64.0]])
    return [Targets.of(boxes, torch.tensor([1, 3, 0])), Targets.of(boxes[:1] * 0.8, torch.tensor([2]))]


def reference_loss(logits: Tensor, boxes: Tensor, targets: list[Targets], assigned: list[list[int]]) -> dict[str, float]:
    """Compute the set loss of one decoder layer in plain loops, for a given assignment (section 3.1 and appendix A.2)."""
    entropy = weight = distance = giou_loss = 0.0
    objects = sum(len(target) for target in targets)
    for image, (target, rows) in enumerate(zip(targets, assigned, strict=True)):
        height, width = SIZES[image]
        scale = torch.tensor([width, height, width, height])
        for query, row in enumerate(rows):
            label = 4 if row < 0 else int(target.labels[row])
            class_weight = 0.1 if row < 0 else 1.0
            entropy -= class_weight * float(logits[image, query].log_softmax(-1)[label])
            weight += class_weight
            if row >= 0:
                target_box = box_convert(target.boxes[row], "xyxy", "cxcywh")
                distance += float(((boxes[image, query] - target_box) / scale).abs().sum())
                corners = box_convert(boxes[image, query][None], "cxcywh", "xyxy")
                giou_loss += 1 - float(generalized_box_iou(corners, target.boxes[row][None]))
    return {"class": entropy / weight, "box": 5 * distance / objects, "giou": 2 * giou_loss / objects}


@torch.no_grad()
def test_losses_match_the_paper() -> None:
    detr = head()
    outputs, targets = predict(detr), truth()
    losses = detr.loss(outputs, [], batch(), targets)
    auxiliary_losses = dict.fromkeys(("class", "box", "giou"), 0.0)
    for layer in range(3):
        one = tuple(output[:, :, layer : layer + 1] for output in outputs)
        assigned = [rows.tolist() for rows in detr.assignment(one, [], batch(), targets)]
        assert [sorted(row for row in rows if row >= 0) for rows in assigned] == [[0, 1, 2], [0]]
        expected = reference_loss(one[0][:, :, 0], one[1][:, :, 0], targets, assigned)
        if layer == 2:
            assert {name: float(losses[name]) for name in expected} == pytest.approx(expected, rel=1e-5)
        else:
            auxiliary_losses = {name: auxiliary_losses[name] + expected[name] for name in expected}
    assert {name: float(losses[f"auxiliary_{name}"]) for name in auxiliary_losses} == pytest.approx(auxiliary_losses, rel=1e-5)


@torch.no_grad()
def test_assignment_minimizes_the_cost() -> None:
    detr = head()
    (logits, boxes), target = predict(detr), truth()[1]
    (_, rows) = detr.assignment((logits, boxes), [], batch(), truth())
    scale = torch.tensor([80.0, 40.0, 80.0, 40.0])
    predicted = boxes[1, :, -1]
    distance = ((predicted - box_convert(target.boxes, "xyxy", "cxcywh")) / scale).abs().sum(1)
    overlap = generalized_box_iou(box_convert(predicted, "cxcywh", "xyxy"), target.boxes)[:, 0]
    cost = 5 * distance - 2 * overlap - logits[1, :, -1].softmax(-1)[:, 2]
    assert rows.tolist() == [0 if query == int(cost.argmin()) else BACKGROUND for query in range(6)]


@torch.no_grad()
def test_only_the_last_layer_has_losses_without_auxiliary_losses() -> None:
    alone, outputs = head(auxiliary_losses=False), predict(head())
    assert_close(predict(alone)[0], outputs[0][:, :, -1:])
    losses = alone.loss(predict(alone), [], batch(), truth())
    assert set(losses) == {"class", "box", "giou"}
    assert_close(losses, {name: value for name, value in head().loss(outputs, [], batch(), truth()).items() if name in losses})


@torch.no_grad()
def test_unmatched_queries_inside_a_crowd_are_ignored() -> None:
    detr = head()
    logits, boxes = (output.clone() for output in predict(detr))
    boxes[0, :, :] = torch.tensor([20.0, 20.0, 10.0, 10.0])
    boxes[0, 0, :] = torch.tensor([80.0, 50.0, 10.0, 10.0])
    crowd = Targets.of(torch.tensor([[0.0, 0.0, 50.0, 50.0]]), torch.tensor([1]), is_crowd=torch.tensor([True]))
    (rows, _) = detr.assignment((logits, boxes), [], batch(), [crowd, Targets.empty()])
    assert rows.tolist() == [BACKGROUND] + [IGNORE] * 5
    losses = detr.loss((logits, boxes), [], batch(), [crowd, Targets.empty()])
    entropy = functional.cross_entropy(torch.cat((logits[0, :1, -1], logits[1, :, -1])), torch.full((7,), 4))
    assert_close(losses["class"], entropy)
    assert float(losses["box"]) == float(losses["giou"]) == 0


@torch.no_grad()
def test_more_objects_than_queries() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]) + 8 * torch.arange(9)[:, None]
    crowded = Targets.of(boxes, torch.zeros(9, dtype=torch.int64))
    detr = head()
    (rows, _) = detr.assignment(predict(detr), [], batch(), [crowded, Targets.empty()])
    assert len(set(rows.tolist())) == 6
    assert min(rows.tolist()) >= 0
    assert all(math.isfinite(loss) for loss in detr.loss(predict(detr), [], batch(), [crowded, Targets.empty()]).values())


@torch.no_grad()
def test_two_queries_per_object() -> None:
    """Compare with targets that contain every object twice."""
    twice = [Targets.cat([target, target]) for target in truth()]
    outputs = predict(head())
    assert_close(head(target_copies=2).loss(outputs, [], batch(), truth()), head().loss(outputs, [], batch(), twice))


@torch.no_grad()
def test_each_query_is_reported_once_with_its_best_class() -> None:
    detr = head()
    outputs = predict(detr)
    detections = detr.detect(outputs, detr.locations([], batch()), batch(), None)
    probabilities = outputs[0][1, :, -1].softmax(-1)[:, :4]
    best = probabilities.max(1)
    order = best.values.argsort(descending=True)
    assert_close(detections[1].scores, best.values[order])
    assert detections[1].labels.tolist() == best.indices[order].tolist()
    corners = box_convert(outputs[1][1, :, -1], "cxcywh", "xyxy")[order].clamp(min=0)
    assert_close(detections[1].boxes, torch.minimum(corners, torch.tensor([80.0, 40.0, 80.0, 40.0])))


def test_padding_cells_are_found_by_the_nearest_pixel() -> None:
    valid = valid_cells(batch(), (2, 3))
    assert valid[0].all()
    # The nearest pixels are 0 and 32 for rows and 0, 32 and 64 for columns; the image ends at 40 and 80.
    assert valid[1].all()
    assert valid_cells(batch(), (4, 6))[1].tolist() == [[True] * 5 + [False]] * 3 + [[False] * 6]


@torch.no_grad()
def test_padding_content_does_not_change_outputs() -> None:
    detr = head()
    map_ = torch.randn(2, 8, 4, 6)
    other = map_.clone()
    other[1, :, 3:], other[1, :, :, 5:] = 9.0, -9.0
    for first, second in zip(detr([map_], batch()), detr([other], batch()), strict=True):
        assert_close(first, second)
    alone = detr([map_[1:, :, :3, :5]], Batch(torch.zeros(1, 3, 40, 80), SIZES[1:]))
    assert_close(alone[0][0], detr([map_], batch())[0][1], atol=1e-5, rtol=1e-5)


def test_indivisible_channels_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"channels: expected a multiple of 4 and of attention_heads=8, got 20"):
        DETRHeadConfig(channels=20)
