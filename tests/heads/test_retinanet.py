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
from detkit.structures import Batch, Targets

GRIDS = [(8, 12), (4, 6)]
SQUARES = AnchorConfig(sizes=((16.0,), (32.0,)), ratios=(1.0,))


def head(**numbers: object) -> RetinaNetHead:
    torch.manual_seed(0)
    return RetinaNetHeadConfig(anchors=SQUARES, depth=1, **numbers).build((8, 8), 3)


def batch(images: int = 1) -> Batch:
    return Batch(torch.zeros(images, 3, 64, 96), ((60, 90),) * images)


def target(*boxes: tuple[float, float, float, float]) -> Targets:
    return Targets.of(torch.tensor(boxes), torch.tensor([2, 0][: len(boxes)]))


def saying(module: RetinaNetHead, targets: list[Targets], *, certain: float) -> tuple[Tensor, Tensor]:
    """Outputs that say what is true of every positive anchor, and background of all others."""
    locations = module.locations(GRIDS, batch())
    anchors = torch.cat(locations)
    logits, deltas = torch.full((len(targets), len(anchors), 3), -certain), torch.zeros(len(targets), len(anchors), 4)
    for image, (rows, assignment) in enumerate(zip(targets, module.assignment((), locations, batch(), targets), strict=True)):
        positive = assignment >= 0
        logits[image, positive, rows.labels[assignment[positive]]] = certain
        deltas[image, positive] = encode(rows.boxes[assignment[positive]], anchors[positive])
    return logits, deltas


def test_an_untrained_head_is_nearly_sure_of_background() -> None:
    module = head(prior=0.02)
    logits, deltas = module([torch.zeros(2, 8, *grid) for grid in GRIDS])
    assert (logits.shape, deltas.shape) == ((2, 120, 3), (2, 120, 4))
    assert_close(module.scores((logits, deltas)), torch.full((2, 120, 3), 0.02))


def test_who_answers_for_what() -> None:
    module = head()
    locations = module.locations(GRIDS, batch())
    assert [len(level) for level in locations] == [96, 24]
    (found,) = module.assignment((), locations, batch(), [target((16.0, 16.0, 32.0, 32.0))])
    anchors = torch.cat(locations)
    assert (found >= 0).nonzero().flatten().tolist() == [3 * 12 + 3]
    beside = (anchors == torch.tensor([8.0, 16.0, 24.0, 32.0])).all(1)
    assert found[beside].tolist() == [BACKGROUND], "an IoU of 1/3"
    (found,) = module.assignment((), locations, batch(), [target((16.0, 16.0, 36.0, 36.0))])
    twice = (anchors == torch.tensor([16.0, 16.0, 32.0, 32.0])).all(1)
    assert found[twice].tolist() == [0], "an IoU of 0.64"
    (found,) = module.assignment((), locations, batch(), [target((16.0, 16.0, 32.0, 51.0))])
    assert found[twice].tolist() == [IGNORE], "an IoU of 0.457 where another anchor's is better"


@pytest.mark.parametrize("box_loss", ["smooth_l1", "giou", "ciou"])
def test_losses_are_nothing_when_it_says_what_is_true(box_loss: str) -> None:
    module, targets = head(box_loss=box_loss), [target((16.0, 16.0, 34.0, 33.0), (40.0, 10.0, 75.0, 45.0)), Targets.empty()]
    locations = module.locations(GRIDS, batch(2))
    logits, deltas = saying(module, targets, certain=30.0)
    right = module.loss((logits, deltas), locations, batch(2), targets)
    assert_close(torch.stack(list(right.values())), torch.zeros(2), atol=1e-5, rtol=0)
    wrong = module.loss((-logits, deltas + 0.5), locations, batch(2), targets)
    assert all(float(loss) > 0.1 for loss in wrong.values())


def test_every_image_counts_as_much_however_many_anchors_it_has() -> None:
    module, targets = head(), [target((16.0, 16.0, 34.0, 33.0), (40.0, 10.0, 75.0, 45.0)), target((16.0, 16.0, 32.0, 32.0))]
    locations = module.locations(GRIDS, batch(2))
    outputs = tuple(torch.randn(2, 120, columns) for columns in (3, 4))
    together = module.loss(outputs, locations, batch(2), targets)
    alone = [
        module.loss(tuple(part[image : image + 1] for part in outputs), locations, batch(), targets[image : image + 1]) for image in (0, 1)
    ]
    for name, loss in together.items():
        assert_close(loss, (alone[0][name] + alone[1][name]) / 2)


def test_detections_are_moved_anchors() -> None:
    module, targets = head(), [target((16.0, 16.0, 34.0, 33.0))]
    (found,) = module.detect(saying(module, targets, certain=3.0), module.locations(GRIDS, batch()), batch(), None)
    assert_close(found.boxes, targets[0].boxes)
    assert found.labels.tolist() == [2]
    assert_close(found.scores, torch.tensor([1 / (1 + math.exp(-3.0))]))


def test_anchors_for_other_levels_are_an_error() -> None:
    with pytest.raises(ValueError, match="anchors.sizes: expected sizes for the 2 levels of the neck, got 5 levels"):
        RetinaNetHeadConfig().build((8, 8), 3)
    with pytest.raises(ValueError, match="retinanet: expected the same channels on every level"):
        RetinaNetHeadConfig(anchors=SQUARES).build((8, 16), 3)
