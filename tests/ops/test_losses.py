from __future__ import annotations

import torch
from torch.nn import functional
from torch.testing import assert_close

from detkit.ops.losses import binary_cross_entropy, cross_entropy, nothing, smooth_l1


def test_sums_in_float32() -> None:
    deltas, wanted = torch.randn(6, 4), torch.randn(6, 4)
    assert_close(smooth_l1(deltas, wanted, 1 / 9), functional.smooth_l1_loss(deltas, wanted, beta=1 / 9, reduction="none").sum())
    assert_close(binary_cross_entropy(deltas, wanted.sigmoid()) / 24, functional.binary_cross_entropy_with_logits(deltas, wanted.sigmoid()))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    assert_close(cross_entropy(deltas, labels) / 6, functional.cross_entropy(deltas, labels))
    with torch.autocast("cpu", torch.bfloat16):
        assert smooth_l1(deltas.bfloat16(), wanted.bfloat16(), 1.0).dtype == torch.float32


def test_nothing_keeps_the_graph() -> None:
    first, second = torch.ones(3, requires_grad=True), torch.ones(0, 4, requires_grad=True)
    loss = nothing(first, second)
    loss.backward()
    assert loss.item() == 0
    assert_close(first.grad, torch.zeros(3))
    assert second.grad is not None


def test_empty_sums_are_zero_with_a_gradient() -> None:
    deltas = torch.zeros(0, 4, requires_grad=True)
    loss = smooth_l1(deltas, torch.zeros(0, 4), 1.0) + cross_entropy(deltas, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
