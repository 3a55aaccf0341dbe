from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from detkit.heads.yolox import YOLOXHead, YOLOXHeadConfig, decode, encode
from detkit.ops.boxes import box_iou
from detkit.structures import Batch, Targets

GRIDS = [(8, 8), (4, 4), (2, 2)]
STRIDES = (8, 16, 32)
BATCH = Batch(torch.zeros(2, 3, 64, 64), ((64, 64), (64, 64)))
TARGETS = [
    Targets.of(torch.tensor([[4.0, 6.0, 30.0, 28.0], [30.0, 20.0, 60.0, 62.0]]), torch.tensor([2, 0])),
    Targets.empty(),
]


def head(**numbers: object) -> YOLOXHead:
    torch.manual_seed(0)
    return YOLOXHeadConfig(channels=8, **numbers).build((4, 6, 8), STRIDES, 3)


def test_prior_side_sets_the_initial_box_size() -> None:
    maps = [torch.zeros(1, channels, *grid) for channels, grid in zip((4, 6, 8), GRIDS, strict=True)]
    plain, large = (head(prior_side=side).eval()(maps, BATCH)[2] for side in (1.0, 4.0))
    assert_close(large - plain, torch.tensor([0.0, 0.0, 4.0, 4.0]).clamp(min=1).log().expand_as(plain))


def outputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits, objectness, deltas = (torch.randn(2, 84, columns, generator=generator).requires_grad_() for columns in (3, 1, 4))
    return logits, objectness, deltas


def test_encode_inverts_decode() -> None:
    points, strides = torch.tensor([[4.0, 12.0], [40.0, 8.0]]), torch.tensor([[8.0], [16.0]])
    deltas = torch.tensor([[0.3, -0.2, 1.0, 0.4], [1.1, 0.5, -0.7, 2.0]])
    boxes = decode(deltas, points, strides)
    assert_close(boxes[0, :2] + boxes[0, 2:], 2 * torch.tensor([0.3 * 8, (-0.2 + 1) * 8]))
    assert_close(encode(boxes, points, strides), deltas)
    assert torch.isfinite(decode(torch.full((1, 4), 1e4), points[:1], strides[:1])).all()


def test_losses_match_the_original_code() -> None:
    module, (logits, objectness, deltas) = head(), outputs()
    locations = module.locations(GRIDS, BATCH)
    assignment = torch.stack(module.assignment((logits, objectness, deltas), locations, BATCH, TARGETS))
    losses = module.loss((logits, objectness, deltas), locations, BATCH, TARGETS)
    points, strides = torch.cat(locations), torch.cat([torch.full((len(p), 1), float(s)) for p, s in zip(locations, STRIDES, strict=True)])
    rows = (assignment[0] >= 0).nonzero().flatten()
    assert len(rows) > 1
    assert (assignment[1] < 0).all()
    boxes, targets = decode(deltas[0, rows], points[rows], strides[rows]), TARGETS[0].boxes[assignment[0, rows]]
    overlaps = box_iou(boxes, targets).diagonal()
    classes = functional.one_hot(TARGETS[0].labels[assignment[0, rows]], 3) * overlaps[:, None].detach()
    assert_close(losses["box"], 5 * (1 - overlaps**2).sum() / len(rows))
    assert_close(losses["class"], functional.binary_cross_entropy_with_logits(logits[0, rows], classes, reduction="sum") / len(rows))
    objectness_target = (assignment >= 0).float()[..., None]
    assert_close(
        losses["objectness"], functional.binary_cross_entropy_with_logits(objectness, objectness_target, reduction="sum") / len(rows)
    )


def test_l1_loss_is_added_only_at_the_end_of_training() -> None:
    module, predictions = head(), outputs()
    locations = module.locations(GRIDS, BATCH)
    assert "box_l1" not in module.loss(predictions, locations, BATCH, TARGETS)
    module.progress = 0.96
    (assignment, _) = module.assignment(predictions, locations, BATCH, TARGETS)
    rows = (assignment >= 0).nonzero().flatten()
    strides = torch.cat([torch.full((len(p), 1), float(s)) for p, s in zip(locations, STRIDES, strict=True)])
    targets = encode(TARGETS[0].boxes[assignment[rows]], torch.cat(locations)[rows], strides[rows])
    assert_close(module.loss(predictions, locations, BATCH, TARGETS)["box_l1"], (predictions[2][0, rows] - targets).abs().sum() / len(rows))
    never = head(l1_from=None)
    never.progress = 1.0
    assert "box_l1" not in never.loss(predictions, locations, BATCH, TARGETS)


def test_points_in_crowds_are_not_background() -> None:
    module, predictions = head(), outputs()
    locations = module.locations(GRIDS, BATCH)
    everywhere = Targets.of(torch.tensor([[0.0, 0.0, 64.0, 64.0]]), torch.tensor([1]), is_crowd=torch.tensor([True]))
    losses = module.loss(predictions, locations, BATCH, [everywhere, everywhere])
    assert {name: float(loss.detach()) for name, loss in losses.items()} == {"objectness": 0.0, "class": 0.0, "box": 0.0}
    sum(losses.values()).backward()
    assert all(part.grad is not None for part in predictions)


@torch.no_grad()
def test_a_cell_reports_its_best_class_or_every_class() -> None:
    predictions = outputs()
    every = predictions[0].sigmoid() * predictions[1].sigmoid()
    assert_close(head(best_class_only=False).scores(predictions), every)
    best = head().scores(predictions)
    assert ((best > 0).sum(-1) == 1).all()
    assert_close(best.amax(-1), every.amax(-1))


def test_untrained_head_predicts_the_prior() -> None:
    with torch.no_grad():
        logits, objectness, _ = head().eval()([torch.zeros(1, c, *grid) for c, grid in zip((4, 6, 8), GRIDS, strict=True)], BATCH)
    assert_close(objectness.sigmoid(), torch.full_like(objectness, 0.01), atol=0.01, rtol=0)
    assert_close(logits.sigmoid(), torch.full_like(logits, 0.01), atol=0.01, rtol=0)
