from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from detkit.heads.anchors import AnchorConfig
from detkit.heads.retinanet import RetinaNetHead, RetinaNetHeadConfig
from detkit.ops.coder import encode
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.ops.match_atss import match_atss
from detkit.structures import Batch, Targets

GRIDS = [(8, 12), (4, 6)]
SQUARES = AnchorConfig(sizes=((16.0,), (32.0,)), ratios=(1.0,))


def head(**numbers: object) -> RetinaNetHead:
    torch.manual_seed(0)
    return RetinaNetHeadConfig(anchors=SQUARES, depth=1, **numbers).build((8, 8), (8, 16), 3)


def batch(images: int = 1) -> Batch:
    return Batch(torch.zeros(images, 3, 64, 96), ((60, 90),) * images)


def target(*boxes: tuple[float, float, float, float]) -> Targets:
    return Targets.of(torch.tensor(boxes), torch.tensor([2, 0][: len(boxes)]))


def perfect_outputs(module: RetinaNetHead, targets: list[Targets], *, confidence: float) -> tuple[Tensor, Tensor]:
    """Return outputs that match the target at every positive anchor, and background at all others."""
    locations = module.locations(GRIDS, batch())
    anchors = torch.cat(locations)
    logits, deltas = torch.full((len(targets), len(anchors), 3), -confidence), torch.zeros(len(targets), len(anchors), 4)
    for image, (rows, assignment) in enumerate(zip(targets, module.assignment((), locations, batch(), targets), strict=True)):
        positive = assignment >= 0
        logits[image, positive, rows.labels[assignment[positive]]] = confidence
        deltas[image, positive] = encode(rows.boxes[assignment[positive]], anchors[positive])
    return logits, deltas


def test_untrained_head_predicts_the_prior() -> None:
    module = head(prior=0.02)
    logits, deltas = module([torch.zeros(2, 8, *grid) for grid in GRIDS], batch(2))
    assert (logits.shape, deltas.shape) == ((2, 120, 3), (2, 120, 4))
    assert_close(module.scores((logits, deltas)), torch.full((2, 120, 3), 0.02))


def test_assignment_by_iou() -> None:
    module = head()
    locations = module.locations(GRIDS, batch())
    assert [len(level) for level in locations] == [96, 24]
    (assignment,) = module.assignment((), locations, batch(), [target((16.0, 16.0, 32.0, 32.0))])
    anchors = torch.cat(locations)
    assert (assignment >= 0).nonzero().flatten().tolist() == [3 * 12 + 3]
    neighbor = (anchors == torch.tensor([8.0, 16.0, 24.0, 32.0])).all(1)
    assert assignment[neighbor].tolist() == [BACKGROUND], "an IoU of 1/3"
    (assignment,) = module.assignment((), locations, batch(), [target((16.0, 16.0, 36.0, 36.0))])
    aligned = (anchors == torch.tensor([16.0, 16.0, 32.0, 32.0])).all(1)
    assert assignment[aligned].tolist() == [0], "an IoU of 0.64"
    (assignment,) = module.assignment((), locations, batch(), [target((16.0, 16.0, 32.0, 51.0))])
    assert assignment[aligned].tolist() == [IGNORE], "an IoU of 0.457 where another anchor's is better"


@pytest.mark.parametrize("box_loss", ["smooth_l1", "giou", "ciou"])
def test_perfect_outputs_have_no_loss(box_loss: str) -> None:
    module, targets = head(box_loss=box_loss), [target((16.0, 16.0, 34.0, 33.0), (40.0, 10.0, 75.0, 45.0)), Targets.empty()]
    locations = module.locations(GRIDS, batch(2))
    logits, deltas = perfect_outputs(module, targets, confidence=30.0)
    right = module.loss((logits, deltas), locations, batch(2), targets)
    assert_close(torch.stack(list(right.values())), torch.zeros(2), atol=1e-5, rtol=0)
    wrong = module.loss((-logits, deltas + 0.5), locations, batch(2), targets)
    assert all(float(loss) > 0.1 for loss in wrong.values())


def test_images_have_equal_weight() -> None:
    module, targets = head(), [target((16.0, 16.0, 34.0, 33.0), (40.0, 10.0, 75.0, 45.0)), target((16.0, 16.0, 32.0, 32.0))]
    locations = module.locations(GRIDS, batch(2))
    outputs = tuple(torch.randn(2, 120, columns) for columns in (3, 4))
    together = module.loss(outputs, locations, batch(2), targets)
    alone = [
        module.loss(tuple(part[image : image + 1] for part in outputs), locations, batch(), targets[image : image + 1]) for image in (0, 1)
    ]
    for name, loss in together.items():
        assert_close(loss, (alone[0][name] + alone[1][name]) / 2)


def test_detections_are_decoded_anchors() -> None:
    module, targets = head(), [target((16.0, 16.0, 34.0, 33.0))]
    (detections,) = module.detect(perfect_outputs(module, targets, confidence=3.0), module.locations(GRIDS, batch()), batch(), None)
    assert_close(detections.boxes, targets[0].boxes)
    assert detections.labels.tolist() == [2]
    assert_close(detections.scores, torch.tensor([1 / (1 + math.exp(-3.0))]))


def test_atss_replaces_the_assignment() -> None:
    module, targets = head(atss_top_k=3), [target((10.0, 10.0, 34.0, 33.0), (40.0, 10.0, 75.0, 45.0))]
    locations = module.locations(GRIDS, batch())
    (assignment,) = module.assignment((), locations, batch(), targets)
    assert_close(assignment, match_atss(locations, targets[0], top_k=3))
    assert set(assignment.tolist()) == {BACKGROUND, 0, 1}, "nothing is ignored, unlike by IoU"


def test_mismatched_levels_are_rejected() -> None:
    with pytest.raises(ValueError, match="anchors.sizes: expected sizes for the 2 levels of the neck, got 5 levels"):
        RetinaNetHeadConfig().build((8, 8), (8, 16), 3)
    with pytest.raises(ValueError, match="model.head: expected the same channels on every level"):
        RetinaNetHeadConfig(anchors=SQUARES).build((8, 16), (8, 16), 3)
