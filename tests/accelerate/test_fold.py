from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from detkit.accelerate.fold import conv_norm_pairs, fold_batch_norms
from detkit.accelerate.scaled_conv import absorb_frozen_norms
from detkit.layers import ConvNormAct, FrozenBatchNorm, freeze_norms


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(ConvNormAct(3, 8, norm="batch"), ConvNormAct(8, 8, groups=8, norm="batch"), ConvNormAct(8, 4, 1))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.3, 2)
            nn.init.uniform_(part.weight, -1, 2)
    return model.eval()


@pytest.mark.parametrize("kind", ["batch", "frozen", "absorbed"])
def test_outputs_are_kept_and_norms_removed(kind: str) -> None:
    model = network()
    if kind != "batch":
        model = freeze_norms(model)
    if kind == "absorbed":
        model = absorb_frozen_norms(model)
    x = torch.randn(2, 3, 9, 7)
    with torch.no_grad():
        expected = model(x)
    folded = fold_batch_norms(model)
    torch.testing.assert_close(folded(x), expected)
    assert not any(isinstance(part, (nn.BatchNorm2d, FrozenBatchNorm)) for part in folded.modules())
    assert not any(parameter.requires_grad for name, parameter in folded.named_parameters() if not name.startswith("2."))


def test_the_input_module_is_not_modified() -> None:
    model = network().train()
    state = copy.deepcopy(model.state_dict())
    fold_batch_norms(model)
    assert model.training
    assert list(conv_norm_pairs(model))
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_a_norm_without_a_preceding_convolution_is_kept() -> None:
    unpaired = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    assert not list(conv_norm_pairs(unpaired))
    x = torch.randn(1, 3, 4, 4)
    assert torch.equal(fold_batch_norms(unpaired)(x), unpaired(x))


def test_the_activation_of_timms_norms_is_kept() -> None:
    from timm.layers import BatchNormAct2d

    with_activation = nn.Sequential(nn.Conv2d(3, 4, 1), BatchNormAct2d(4)).eval()
    x = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(fold_batch_norms(with_activation)(x), with_activation(x))
    assert bool((fold_batch_norms(with_activation)(x) >= 0).all())


def test_a_norm_without_statistics_cannot_be_folded() -> None:
    with pytest.raises(ValueError, match="running statistics"):
        fold_batch_norms(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)))
