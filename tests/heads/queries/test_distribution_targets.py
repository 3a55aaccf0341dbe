from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from detkit.heads.queries.distribution import bin_values
from detkit.heads.queries.distribution_targets import (
    BinTargets,
    bin_targets,
    distillation_losses,
    distillation_weights,
    fine_grained_losses,
    matched_share,
    unite_assignments,
)
from detkit.ops.match import BACKGROUND, IGNORE

VALUES = bin_values(torch.tensor([0.5]), torch.tensor([4.0]))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- targets and fine-grained localization


def test_a_distance_is_the_mean_of_its_two_bins() -> None:
    distances = torch.rand(200, 4, generator=generator()) * 8 - 4
    targets = bin_targets(distances, VALUES)
    assert_close(targets.left_weights + targets.right_weights, torch.ones(200, 4))
    assert_close(targets.left_weights * VALUES[targets.left] + targets.right_weights * VALUES[targets.left + 1], distances)
    assert ((VALUES[targets.left] <= distances) & (distances < VALUES[targets.left + 1])).all()


def test_distances_beyond_the_bins_belong_to_the_outermost_ones() -> None:
    distances = torch.tensor([[-1e30, -4.1, 4.1, 1e30], [-4.0, -2.0, 0.0, 4.0]])
    targets = bin_targets(distances, VALUES)
    assert targets.left.tolist() == [[0, 0, 31, 31], [0, 1, 16, 31]]
    assert targets.left_weights.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
    assert targets.right_weights.tolist() == [[0, 0, 1, 1], [0, 0, 0, 1]]


def test_fine_grained_loss_is_the_weighted_cross_entropy_with_both_bins() -> None:
    logits, ious = torch.randn(6, 4, 33, generator=generator()), torch.rand(6, generator=generator(1)).requires_grad_()
    targets = bin_targets(torch.rand(6, 4, generator=generator(2)) * 10 - 5, VALUES)
    expected = []
    for pair in range(6):
        total = 0.0
        for edge in range(4):
            left = targets.left[pair, edge]
            entropies = [functional.cross_entropy(logits[pair, edge], left + step).item() for step in (0, 1)]
            total += entropies[0] * targets.left_weights[pair, edge].item() + entropies[1] * targets.right_weights[pair, edge].item()
        expected.append(total * ious[pair].item())
    logits.requires_grad_()
    losses = fine_grained_losses(logits, targets, ious)
    assert_close(losses, torch.tensor(expected))
    losses.sum().backward()
    assert ious.grad is None
    assert logits.grad is not None
    assert logits.grad.abs().amax((1, 2)).min() > 0


def test_fine_grained_loss_is_least_at_the_targets() -> None:
    targets = bin_targets(torch.tensor([[-1.1, 0.3, 1.2, 3.0]]), VALUES)
    best = torch.full((1, 4, 33), 1e-9)
    best.scatter_(-1, targets.left[..., None], targets.left_weights[..., None])
    best.scatter_(-1, targets.left[..., None] + 1, targets.right_weights[..., None])
    logits = best.log().requires_grad_()
    fine_grained_losses(logits, targets, torch.ones(1)).sum().backward()
    assert logits.grad is not None
    assert_close(logits.grad, torch.zeros(1, 4, 33), atol=1e-6, rtol=0)


def test_no_pairs_have_no_loss() -> None:
    logits, empty = torch.randn(0, 4, 33, requires_grad=True), torch.zeros(0, 4)
    assert fine_grained_losses(logits, BinTargets(empty.long(), empty, empty), torch.zeros(0)).shape == (0,)


# ---- self-distillation


def distillation_inputs(matched: list[list[bool]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    mask = torch.tensor(matched)
    logits = torch.randn(*mask.shape, 2, 4, 33, generator=generator())
    teacher = torch.randn(*mask.shape, 4, 33, generator=generator(1))
    return logits, teacher, torch.rand(*mask.shape, 2, generator=generator(2)), mask


MASKS = [[[True, False, False], [True, True, False]], [[True, True]], [[False, False], [False, False]]]


@pytest.mark.parametrize("matched", MASKS)
def test_distillation_averages_matched_and_unmatched_edges_apart(matched: list[list[bool]]) -> None:
    logits, teacher, weights, mask = distillation_inputs(matched)
    losses = distillation_losses(logits, teacher, weights, mask, matched_share(mask))
    batch_size = len(mask)
    roots = [math.sqrt(4 * int(part.sum()) * 8 / batch_size) for part in (mask, ~mask)]
    for layer in range(2):
        parts = []
        for part in (mask, ~mask):
            terms = []
            for image, query in part.nonzero().tolist():
                for edge in range(4):
                    student = (logits[image, query, layer, edge].double() / 5).log_softmax(-1)
                    target = (teacher[image, query, edge].double() / 5).softmax(-1)
                    divergence = (target * (target.log() - student)).sum()
                    terms.append(25 * weights[image, query, layer].item() * divergence.item())
            parts.append(sum(terms) / max(1, len(terms)))
        expected = (parts[0] * roots[0] + parts[1] * roots[1]) / sum(roots)
        assert losses[layer].item() == pytest.approx(expected, rel=1e-5)


def test_distillation_teaches_only_the_student() -> None:
    logits, teacher, weights, mask = distillation_inputs(MASKS[0])
    for tensor in (logits, teacher, weights):
        tensor.requires_grad_()
    distillation_losses(logits, teacher, weights, mask, matched_share(mask)).sum().backward()
    assert teacher.grad is None
    assert weights.grad is None
    assert logits.grad is not None
    assert logits.grad.abs().amax((3, 4)).min() > 0


def test_the_last_layer_learns_nothing_from_itself() -> None:
    logits, _, weights, mask = distillation_inputs(MASKS[0])
    logits.requires_grad_()
    losses = distillation_losses(logits, logits[:, :, -1], weights, mask, matched_share(mask))
    assert losses[-1] == 0
    assert losses[0] > 0.01
    losses[-1].backward()
    assert logits.grad is not None
    assert_close(logits.grad, torch.zeros_like(logits), atol=1e-7, rtol=0)


def test_losses_are_float32_under_autocast() -> None:
    logits, teacher, weights, mask = distillation_inputs(MASKS[0])
    with torch.autocast("cpu", torch.bfloat16):
        losses = distillation_losses(logits.bfloat16(), teacher.bfloat16(), weights, mask, matched_share(mask))
        pairs = fine_grained_losses(logits[0, :, 0].bfloat16(), bin_targets(torch.zeros(3, 4), VALUES), torch.ones(3).bfloat16())
    assert losses.dtype == pairs.dtype == torch.float32
    rounded = distillation_losses(logits.bfloat16().float(), teacher.bfloat16().float(), weights, mask, matched_share(mask))
    assert_close(losses, rounded)


def test_matched_queries_weigh_by_iou_and_others_by_confidence() -> None:
    logits = torch.tensor([[[0.0, 2.0], [-1.0, -3.0]]])
    ious = torch.tensor([[[0.25, 0.5], [0.75, 1.0]]])
    weights = distillation_weights(logits, ious, torch.tensor([[True, False]]))
    confidence = 1 / (1 + math.e)
    assert_close(weights, torch.tensor([[[0.25, 0.5], [confidence, confidence]]]))


@pytest.mark.parametrize(("matched", "share"), [([[True] * 4 + [False] * 9] * 3, 2 / 5), ([[True]], 1.0), ([[False]], 0.0)])
def test_share_of_matched_queries(matched: list[list[bool]], share: float) -> None:
    assert matched_share(torch.tensor(matched)).item() == pytest.approx(share)


# ---- union of matches


def union_in_loops(assignment: Tensor) -> list[int]:
    rows = []
    for stages in assignment.tolist():
        targets = sorted({row for row in stages if row >= 0}, key=lambda row: (-stages.count(row), row))
        rows.append(targets[0] if targets else BACKGROUND)
    return rows


def random_assignment(seed: int) -> Tensor:
    """``(N, S)`` one-to-one matches of up to 12 targets with up to 30 queries; many ties."""
    numbers = generator(seed)
    queries, stages = (int(torch.randint(low, high, (), generator=numbers)) for low, high in ((1, 31), (1, 9)))
    targets = int(torch.randint(0, min(12, queries) + 1, (), generator=numbers))
    assignment = torch.full((queries, stages), BACKGROUND)
    for stage in range(stages):
        rows = torch.randperm(min(queries, 2 * targets), generator=numbers)[:targets]
        assignment[rows, stage] = torch.arange(len(rows))
    return assignment


def test_union_of_matches_equals_plain_loops() -> None:
    ties = 0
    for seed in range(300):
        assignment = random_assignment(seed)
        union = unite_assignments(assignment)
        assert union.tolist() == union_in_loops(assignment), seed
        reversed_union = unite_assignments(assignment.flip(1))
        assert torch.equal(union, reversed_union)
        ties += any(len(set(stages)) == len(stages) > 1 and min(stages) >= 0 for stages in assignment.tolist())
    assert ties > 50


@pytest.mark.parametrize(
    ("stages", "row"),
    [
        ([3, 1, 3], 3),
        ([5, 2, -1], 2),
        ([-1, -1, 4], 4),
        ([IGNORE, IGNORE, 4], 4),
        ([-1, IGNORE, -1], BACKGROUND),
        ([2, 7, 7, 2, 9], 2),
        ([0], 0),
    ],
)
def test_union_of_the_matches_of_a_query(stages: list[int], row: int) -> None:
    union = unite_assignments(torch.tensor([[stages]]))
    assert union.tolist() == [[row]]
    assert union.dtype == torch.int64
