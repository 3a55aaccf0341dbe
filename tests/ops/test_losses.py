from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close
from torchvision import ops

from detkit.ops.losses import (
    BOX_LOSSES,
    binary_cross_entropy,
    ciou_loss,
    cross_entropy,
    diou_loss,
    giou_loss,
    iou_loss,
    log_iou_loss,
    sigmoid_focal,
    smooth_l1,
    zero_loss,
)

BoxLoss = Callable[[Tensor, Tensor], Tensor]


def random_boxes(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 60
    return torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=generator) * 40), 1)


def test_losses_are_sums_in_float32() -> None:
    deltas, target = torch.randn(6, 4), torch.randn(6, 4)
    assert_close(smooth_l1(deltas, target, 1 / 9), functional.smooth_l1_loss(deltas, target, beta=1 / 9, reduction="none").sum())
    assert_close(binary_cross_entropy(deltas, target.sigmoid()) / 24, functional.binary_cross_entropy_with_logits(deltas, target.sigmoid()))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    assert_close(cross_entropy(deltas, labels) / 6, functional.cross_entropy(deltas, labels))
    with torch.autocast("cpu", torch.bfloat16):
        assert smooth_l1(deltas.bfloat16(), target.bfloat16(), 1.0).dtype == torch.float32


def test_zero_loss_keeps_the_graph() -> None:
    first, second = torch.ones(3, requires_grad=True), torch.ones(0, 4, requires_grad=True)
    loss = zero_loss(first, second)
    loss.backward()
    assert loss.item() == 0
    assert_close(first.grad, torch.zeros(3))
    assert second.grad is not None


def test_empty_sums_are_zero_with_a_gradient() -> None:
    deltas = torch.zeros(0, 4, requires_grad=True)
    loss = smooth_l1(deltas, torch.zeros(0, 4), 1.0) + cross_entropy(deltas, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0


@pytest.mark.oracle("torchvision", "focal loss", tolerance="1e-5")
@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.6, 1.5), (0.5, 0.0)])
def test_focal_loss_equals_torchvision(alpha: float, gamma: float) -> None:
    logits, target = torch.randn(50, 7) * 4, (torch.rand(50, 7) > 0.8).float()
    expected = ops.sigmoid_focal_loss(logits, target, alpha=alpha, gamma=gamma, reduction="sum")
    assert_close(sigmoid_focal(logits, target, alpha, gamma), expected)


def test_focal_loss_of_saturated_logits_has_a_finite_gradient() -> None:
    logits = torch.tensor([-200.0, 200.0, 0.0], requires_grad=True)
    loss = sigmoid_focal(logits, torch.tensor([1.0, 0.0, 1.0]))
    loss.backward()
    assert_close(loss.detach(), torch.tensor(0.25 * 200 + 0.75 * 200 + 0.25 * 0.25 * torch.log(torch.tensor(2.0)).item()))
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.oracle("torchvision", "IoU losses of boxes and their gradients", tolerance="1e-5")
@pytest.mark.parametrize(
    ("loss", "reference"),
    [(giou_loss, ops.generalized_box_iou_loss), (diou_loss, ops.distance_box_iou_loss), (ciou_loss, ops.complete_box_iou_loss)],
)
def test_box_losses_and_gradients_equal_torchvision(loss: BoxLoss, reference: BoxLoss) -> None:
    boxes, target = random_boxes(200, 0).requires_grad_(), random_boxes(200, 1)
    assert_close(loss(boxes, target), reference(boxes, target))
    assert_close(*(torch.autograd.grad(function(boxes, target).sum(), boxes)[0] for function in (loss, reference)))


def test_iou_losses_equal_functions_of_the_iou() -> None:
    boxes, target = random_boxes(200, 0), random_boxes(200, 1)
    ious = ops.box_iou(boxes, target).diagonal()
    assert_close(iou_loss(boxes, target), 1 - ious)
    assert_close(log_iou_loss(boxes, target), -ious.clamp(min=1e-7).log())


@pytest.mark.parametrize("loss", BOX_LOSSES.values(), ids=BOX_LOSSES)
def test_box_losses_of_boxes_without_area(loss: BoxLoss) -> None:
    """A point, a line, an inverted box and an exact match: values and gradients are finite, and 0 for the exact match."""
    boxes = torch.tensor([[5.0, 5, 5, 5], [5, 5, 5, 9], [9, 9, 4, 4], [0, 0, 10, 10]], requires_grad=True)
    target = torch.tensor([[0.0, 0, 10, 10]]).expand(4, 4)
    losses = loss(boxes, target)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert_close(losses[3].detach(), torch.tensor(0.0), atol=1e-6, rtol=0)
    assert boxes.grad is not None
    assert boxes.grad.isfinite().all()
    assert loss(boxes[:0], target[:0]).shape == (0,)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(boxes.bfloat16(), target.bfloat16()).dtype == torch.float32
