from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from detkit.layers import ConvNormAct, FrozenBatchNorm, absorb_frozen_norms, conv_norm_pairs, fold_batch_norms, freeze_norms


def network() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(ConvNormAct(3, 8, norm="batch"), ConvNormAct(8, 8, groups=8, norm="batch"), ConvNormAct(8, 4, 1))
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.3, 2)
            nn.init.uniform_(part.weight, -1, 2)
    return made.eval()


@pytest.mark.parametrize("kind", ["batch", "frozen", "absorbed"])
def test_outputs_stay_and_norms_go(kind: str) -> None:
    before = network()
    if kind != "batch":
        before = freeze_norms(before)
    if kind == "absorbed":
        before = absorb_frozen_norms(before)
    x = torch.randn(2, 3, 9, 7)
    with torch.no_grad():
        expected = before(x)
    folded = fold_batch_norms(before)
    torch.testing.assert_close(folded(x), expected)
    assert not any(isinstance(part, (nn.BatchNorm2d, FrozenBatchNorm)) for part in folded.modules())
    assert not any(parameter.requires_grad for name, parameter in folded.named_parameters() if not name.startswith("2."))


def test_what_came_in_is_not_changed() -> None:
    before = network().train()
    state = copy.deepcopy(before.state_dict())
    fold_batch_norms(before)
    assert before.training
    assert list(conv_norm_pairs(before))
    assert all(torch.equal(state[name], value) for name, value in before.state_dict().items())


def test_a_norm_that_does_not_follow_a_convolution_stays() -> None:
    alone = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    assert not list(conv_norm_pairs(alone))
    x = torch.randn(1, 3, 4, 4)
    assert torch.equal(fold_batch_norms(alone)(x), alone(x))


def test_the_activation_inside_timms_norms_stays() -> None:
    from timm.layers import BatchNormAct2d

    with_activation = nn.Sequential(nn.Conv2d(3, 4, 1), BatchNormAct2d(4)).eval()
    x = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(fold_batch_norms(with_activation)(x), with_activation(x))
    assert bool((fold_batch_norms(with_activation)(x) >= 0).all())


def test_a_norm_without_statistics_cannot_be_folded() -> None:
    with pytest.raises(ValueError, match="running statistics"):
        fold_batch_norms(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)))
