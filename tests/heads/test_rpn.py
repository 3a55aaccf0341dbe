from __future__ import annotations

import torch
from torch.testing import assert_close

from detkit.heads.anchors import AnchorConfig
from detkit.heads.rpn import RPN, RPNConfig
from detkit.ops.boxes import box_iou
from detkit.structures import Batch, Targets

SIZES = ((60, 90), (64, 96))


def rpn(**numbers: object) -> RPN:
    torch.manual_seed(0)
    return RPNConfig(anchors=AnchorConfig(sizes=((16.0,), (32.0,))), **numbers).build((4, 4))


def batch() -> tuple[Batch, list[torch.Tensor]]:
    return Batch(torch.zeros(2, 3, 64, 96), SIZES, (1, 2)), [torch.randn(2, 4, 8, 12), torch.randn(2, 4, 4, 6)]


def test_proposals_are_clipped_sorted_and_suppressed_per_level() -> None:
    module = rpn(max_proposals=30, train_max_proposals=70, nms_iou=0.5)
    images, maps = batch()
    logits, deltas = module(maps)
    anchors = module.anchors_for(maps, images)
    assert [len(level) for level in anchors] == [8 * 12 * 3, 4 * 6 * 3]
    proposals = module.propose(logits * 100, deltas, anchors, images, training=False)
    assert [len(rows) for rows in proposals] == [30, 30]
    for rows, (height, width) in zip(proposals, SIZES, strict=True):
        assert (rows.boxes >= 0).all()
        assert (rows.boxes <= torch.tensor([width, height, width, height])).all()
        assert (rows.scores[:-1] >= rows.scores[1:]).all()
    assert len(module.propose(logits, deltas, anchors, images, training=True)[0]) > 30
    one = module.propose(logits[:, -72:], deltas[:, -72:], anchors[1:], images, training=True)[0]
    assert (box_iou(one.boxes, one.boxes) - torch.eye(len(one))).max() <= 0.5


def test_score_threshold_is_on_probabilities() -> None:
    module = rpn(min_score=0.6)
    images, maps = batch()
    _, deltas = module(maps)
    logits = torch.randn(2, 360)
    proposals = module.propose(logits, deltas, module.anchors_for(maps, images), images, training=False)
    assert all((rows.scores > 0.6).all() for rows in proposals)
    assert len(module.propose(torch.full_like(logits, -9.0), deltas, module.anchors_for(maps, images), images, training=False)[0]) == 0


def test_perfect_outputs_minimize_the_losses() -> None:
    module = rpn(samples_per_image=360, positive_fraction=1.0)
    images, maps = batch()
    anchors = module.anchors_for(maps, images)
    truth = torch.cat(anchors)[[5, 300]]
    targets = [Targets.of(truth, torch.zeros(2, dtype=torch.int64)), Targets.empty()]
    right = torch.full((2, 360), -30.0)
    right[0, [5, 300]] = 30.0
    losses = module.loss(right, torch.zeros(2, 360, 4), anchors, images, targets)
    assert_close(losses["rpn_box"], torch.tensor(0.0))
    wrong = module.loss(-right, torch.ones(2, 360, 4), anchors, images, targets)
    assert wrong["rpn_objectness"] > losses["rpn_objectness"] + 5
    assert wrong["rpn_box"] > 0


def test_sampler_can_be_replaced() -> None:
    module = rpn()
    images, maps = batch()
    calls: list[tuple[int, int, float]] = []

    def none(assignment: torch.Tensor, count: int, fraction: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append((len(assignment), count, fraction))
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)

    module.sample = none
    losses = module.loss(*module(maps), module.anchors_for(maps, images), images, [Targets.empty()] * 2)
    assert calls == [(360, 256, 0.5)] * 2
    assert [loss.item() for loss in losses.values()] == [0.0, 0.0]
    sum(losses.values()).backward()
    assert module.head.logits.weight.grad is not None
