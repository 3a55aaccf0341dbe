from __future__ import annotations

import pytest
from torch import nn

from detkit.backbones import BackboneConfig
from detkit.config import ConfigError, apply_overrides
from detkit.layers import FrozenBatchNorm


def norms(config: BackboneConfig) -> set[type[nn.Module]]:
    return {type(part) for part in config.build().modules() if isinstance(part, (nn.BatchNorm2d, FrozenBatchNorm))}


def test_auto_freezes_what_weights_make_worth_keeping() -> None:
    pretrained, scratch = BackboneConfig(name="resnet18"), BackboneConfig(name="resnet18", weights=None)
    assert (pretrained.stages_to_freeze, pretrained.norm_policy) == (2, "frozen")
    assert (scratch.stages_to_freeze, scratch.norm_policy) == (0, "train")
    assert norms(pretrained) == {FrozenBatchNorm}
    assert norms(scratch) == {nn.BatchNorm2d}
    assert all(parameter.requires_grad for parameter in scratch.build().parameters())


def test_what_is_said_goes_before_auto() -> None:
    config = BackboneConfig(name="resnet18", weights=None, frozen_stages=1, norm="frozen")
    assert (config.stages_to_freeze, config.norm_policy) == (1, "frozen")


@pytest.mark.parametrize("norm", ["frozen", "train"])
def test_eps_reaches_every_norm(norm: str) -> None:
    for name in ("resnet18", "efficientnet_lite0"):
        backbone = BackboneConfig(name=name, norm=norm, norm_eps=0.0).build()
        assert {part.eps for part in backbone.modules() if isinstance(part, (nn.BatchNorm2d, FrozenBatchNorm))} == {0.0}


@pytest.mark.parametrize(("name", "eps"), [("resnet18", 1e-5), ("mobilenet_v3_large", 1e-3), ("efficientnet_lite0", 1e-3)])
def test_eps_is_the_architectures_own_unless_told(name: str, eps: float) -> None:
    backbone = BackboneConfig(name=name).build()
    assert {part.eps for part in backbone.modules() if isinstance(part, FrozenBatchNorm)} == {eps}


def test_stages_behind_the_last_level_are_not_built() -> None:
    backbone = BackboneConfig(name="resnet18", levels=("c4",)).build()
    assert not hasattr(backbone, "layer4")
    assert "layer4." in backbone.left_out
    assert len(backbone.stages()) == 4
    cut = BackboneConfig(name="mobilenet_v3_large", levels=("c4",)).build()
    assert list(cut.features._modules) == [str(place) for place in range(13)]


def test_levels_come_finest_first_whatever_the_order_asked_for() -> None:
    assert BackboneConfig(name="resnet18", levels=("c5", "c3")).build().strides == (8, 32)


def test_round_trip_and_overrides() -> None:
    config = BackboneConfig(name="resnet18", weights=None, frozen_stages=3, levels=("c3", "c4"))
    assert BackboneConfig.from_json(config.to_json()) == config
    changed = apply_overrides(config, ["name=resnet34", "weights=default", "frozen_stages=auto", "levels=c4,c5", "norm=train"])
    assert changed == BackboneConfig(name="resnet34", levels=("c4", "c5"), norm="train")
    assert apply_overrides(changed, ["frozen_stages=4", "weights=none"]).frozen_stages == 4


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"name": "resnet51"}, r"unknown backbone 'resnet51': did you mean 'resnet18' or 'resnet50'\?"),
        ({"frozen_stages": -1}, "frozen_stages: expected auto, or 0 and more, got -1"),
        ({"norm": "freeze"}, "norm: expected 'auto', 'frozen' or 'train'"),
        ({"frozen": 2}, "unknown key 'frozen': did you mean 'frozen_stages'"),
    ],
)
def test_what_cannot_be_is_said_at_once(choices: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BackboneConfig(**choices)  # type: ignore[arg-type]


@pytest.mark.parametrize(("levels", "got"), [(("c2", "p6"), "got p6"), ((), "got none")])
def test_a_level_that_is_not_there(levels: tuple[str, ...], got: str) -> None:
    with pytest.raises(ValueError, match=rf"backbone resnet18: expected levels out of c1, c2, c3, c4, c5, {got}"):
        BackboneConfig(name="resnet18", levels=levels).build()
