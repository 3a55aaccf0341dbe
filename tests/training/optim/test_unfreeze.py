"""Gradual unfreezing."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from detkit.backbones import BackboneConfig
from detkit.config import ConfigError
from detkit.models.classifier import Classifier, ClassifierConfig
from detkit.preprocess import PreprocessConfig
from detkit.training.config import TrainingConfig
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig, build_optimizer
from detkit.training.optim.unfreeze import Unfreezing


def small(frozen: int = 3) -> Classifier:
    torch.manual_seed(0)
    preprocess = PreprocessConfig(rule="fixed", input_size=(32, 32))
    return ClassifierConfig(backbone=BackboneConfig(name="lenet5", weights=None, frozen_stages=frozen), preprocess=preprocess).build(3)


def trainable(model: Classifier) -> list[bool]:
    return [all(p.requires_grad for p in stage.parameters()) for stage in model.backbone.stages()]


def test_stages_are_unfrozen_at_their_fractions_the_last_first(caplog: pytest.LogCaptureFixture) -> None:
    model = small().train()
    unfreezing = Unfreezing(model, (0.25, 0.5))
    with caplog.at_level(logging.INFO, "detkit.training"):
        seen = [(unfreezing.update(progress), trainable(model)) for progress in (0.0, 0.2, 0.25, 0.4, 0.5, 0.9)]
    assert [changed for changed, _ in seen] == [False, False, True, False, True, False]
    assert [stages for _, stages in seen[1:5]] == [[False] * 3, [False, False, True], [False, False, True], [False, True, True]]
    lines = [record.message for record in caplog.records if " % of the training: " in record.message]
    assert lines[0].startswith("25 % of the training: backbone lenet5: 2 of 3 stages are frozen (network.features.conv1, ")
    assert lines[1].startswith("50 % of the training: backbone lenet5: 1 of 3 stages are frozen")


def test_two_stages_at_once_and_unfrozen_stages_stay_unfrozen() -> None:
    model = small()
    unfreezing = Unfreezing(model, (0.5, 0.5))
    assert unfreezing.update(0.5)
    assert unfreezing.frozen == 1
    assert not unfreezing.update(0.1)
    assert unfreezing.frozen == 1


def test_unfrozen_stages_are_in_training_mode_and_frozen_ones_are_not() -> None:
    preprocess = PreprocessConfig(rule="fixed", input_size=(64, 64))
    backbone = BackboneConfig(name="shufflenet_v2_x0_5", weights=None, frozen_stages=5, norm="train")
    model = ClassifierConfig(backbone=backbone, preprocess=preprocess).build(3).train()
    norms = {name: part for name, part in model.named_modules() if isinstance(part, nn.BatchNorm2d)}
    assert not any(norm.training for norm in norms.values())
    assert Unfreezing(model, (0.1,)).update(0.2)
    assert {name.split(".")[3] for name, norm in norms.items() if norm.training} == {"stage4", "conv5"}


@pytest.mark.parametrize("rule", [AdamWConfig(lr=0.1), SGDConfig(lr=1e-3), SGDConfig(lr=1e-3, momentum=0.0)])
def test_the_optimizer_includes_later_stages_and_does_not_move_them_before(rule: AdamWConfig | SGDConfig) -> None:
    model = small()
    unfreezing = Unfreezing(model, (0.5,))
    with unfreezing.all_trainable():
        optimizer = build_optimizer(model, rule, 4)
    assert trainable(model) == [False] * 3
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    conv = model.get_parameter("neck.backbone.network.features.conv3.weight")
    assert id(conv) in known
    assert id(model.get_parameter("neck.backbone.network.features.conv1.weight")) not in known

    def step() -> bool:
        before = conv.detach().clone()
        model.raw(model.prepare([torch.rand(3, 32, 32)]))[0].square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        return not torch.equal(before, conv)

    assert not step()
    unfreezing.update(0.5)
    assert step()


def test_more_fractions_than_frozen_stages() -> None:
    with pytest.raises(
        ValueError, match=r"at most 1 values, as 1 of 3 stages of lenet5 are frozen, got 2; raise model.backbone.frozen_stages"
    ):
        Unfreezing(small(1), (0.1, 0.2))


def test_a_backbone_that_the_stage_also_freezes() -> None:
    model = small(1)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="the stage's `frozen` also freezes parts of the backbone; use only one of the two"):
        Unfreezing(model, (0.1,))


def test_a_model_without_a_backbone() -> None:
    with pytest.raises(ValueError, match="training.unfreeze: Linear has no backbone with stages"):
        Unfreezing(nn.Linear(1, 1), (0.1,))


def test_descending_fractions() -> None:
    with pytest.raises(ConfigError, match=r"unfreeze: expected fractions of the training in ascending order, got \(0.5, 0.2\)"):
        TrainingConfig(unfreeze=(0.5, 0.2))
