from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from detkit.backbones import BackboneConfig, load_backbone_weights
from detkit.config import ConfigError, apply_overrides
from detkit.layers import FrozenBatchNorm
from detkit.models.fcos import FCOSConfig


def norms(config: BackboneConfig) -> set[type[nn.Module]]:
    return {type(part) for part in config.build().modules() if isinstance(part, (nn.BatchNorm2d, FrozenBatchNorm))}


def test_auto_freezes_only_with_weights() -> None:
    pretrained, scratch = BackboneConfig(name="resnet18"), BackboneConfig(name="resnet18", weights=None)
    assert (pretrained.stages_to_freeze, pretrained.norm_policy) == (2, "frozen")
    assert (scratch.stages_to_freeze, scratch.norm_policy) == (0, "train")
    assert norms(pretrained) == {FrozenBatchNorm}
    assert norms(scratch) == {nn.BatchNorm2d}
    assert all(parameter.requires_grad for parameter in scratch.build().parameters())


def test_explicit_values_override_auto() -> None:
    config = BackboneConfig(name="resnet18", weights=None, frozen_stages=1, norm="frozen")
    assert (config.stages_to_freeze, config.norm_policy) == (1, "frozen")


@pytest.mark.parametrize("norm", ["frozen", "train"])
def test_eps_reaches_every_norm(norm: str) -> None:
    for name in ("resnet18", "efficientnet_lite0"):
        backbone = BackboneConfig(name=name, norm=norm, norm_eps=0.0).build()
        assert {part.eps for part in backbone.modules() if isinstance(part, (nn.BatchNorm2d, FrozenBatchNorm))} == {0.0}


@pytest.mark.parametrize(("name", "eps"), [("resnet18", 1e-5), ("mobilenet_v3_large", 1e-3), ("efficientnet_lite0", 1e-3)])
def test_default_eps_is_that_of_the_architecture(name: str, eps: float) -> None:
    backbone = BackboneConfig(name=name).build()
    assert {part.eps for part in backbone.modules() if isinstance(part, FrozenBatchNorm)} == {eps}


def test_stages_after_the_last_level_are_not_built() -> None:
    backbone = BackboneConfig(name="resnet18", levels=("c4",)).build()
    assert not hasattr(backbone, "layer4")
    assert "layer4." in backbone.unused_prefixes
    assert len(backbone.stages()) == 4
    cut = BackboneConfig(name="mobilenet_v3_large", levels=("c4",)).build()
    assert list(cut.features._modules) == [str(index) for index in range(13)]


def test_levels_are_sorted_finest_first() -> None:
    assert BackboneConfig(name="resnet18", levels=("c5", "c3")).build().strides == (8, 32)


def test_round_trip_and_overrides() -> None:
    config = BackboneConfig(name="resnet18", weights=None, frozen_stages=3, levels=("c3", "c4"))
    assert BackboneConfig.from_json(config.to_json()) == config
    changed = apply_overrides(config, ["name=resnet34", "weights=default", "frozen_stages=auto", "levels=c4,c5", "norm=train"])
    assert changed == BackboneConfig(name="resnet34", levels=("c4", "c5"), norm="train")
    assert apply_overrides(changed, ["frozen_stages=4", "weights=none"]).frozen_stages == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "resnet51"}, r"unknown backbone 'resnet51': did you mean 'resnet18' or 'resnet50'\?"),
        ({"frozen_stages": -1}, "frozen_stages: expected auto, or a number of at least 0, got -1"),
        ({"norm": "freeze"}, "norm: expected 'auto', 'frozen', 'train', 'sync' or 'group'"),
        ({"frozen": 2}, "unknown key 'frozen': did you mean 'frozen_stages'"),
    ],
)
def test_invalid_values_are_errors(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BackboneConfig(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("levels", "got"), [(("c2", "p6"), "got p6"), ((), "got none")])
def test_unknown_levels_are_errors(levels: tuple[str, ...], got: str) -> None:
    with pytest.raises(ValueError, match=rf"backbone resnet18: expected levels out of c1, c2, c3, c4, c5, {got}"):
        BackboneConfig(name="resnet18", levels=levels).build()


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_group_norms_replace_batch_norms(name: str) -> None:
    """They keep the scale, the shift and the activation, and do not depend on other images of the batch."""
    torch.manual_seed(0)
    backbone = BackboneConfig(name=name, weights=None, norm="group").build().train()
    assert not any(isinstance(part, (nn.BatchNorm2d, FrozenBatchNorm)) for part in backbone.modules())
    images = torch.randn(2, 3, 64, 64)
    together, alone = backbone(images), backbone(images[:1])
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[:1], one, rtol=1e-4, atol=1e-4)
    trained = BackboneConfig(name=name, weights=None, norm="train").build()
    assert [key for key in trained.state_dict() if key.endswith(("weight", "bias"))] == list(backbone.state_dict())


def test_group_norms_load_a_file_except_its_statistics(tmp_path: Path) -> None:
    trained = BackboneConfig(name="resnet18", weights=None, norm="train").build()
    torch.save(trained.state_dict(), tmp_path / "file.pth")
    config = BackboneConfig(name="resnet18", weights=str(tmp_path / "file.pth"), norm="group")
    backbone = config.build()
    unused_names = load_backbone_weights(backbone, config).unused_names
    assert {name.rpartition(".")[2] for name in unused_names} <= {"running_mean", "running_var"}
    assert torch.equal(backbone.conv1.weight, trained.conv1.weight)


def test_sync_norms_in_one_process_equal_batch_norms() -> None:
    torch.manual_seed(0)
    trained = BackboneConfig(name="efficientnet_lite0", weights=None, norm="train").build().eval()
    shared = BackboneConfig(name="efficientnet_lite0", weights=None, norm="sync").build().eval()
    shared.load_state_dict(trained.state_dict(), strict=True)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(trained(images), shared(images), strict=True))


def test_pixels_without_normalization() -> None:
    assert BackboneConfig(name="resnet18").build().mean == (0.485, 0.456, 0.406)
    for grayscale in (False, True):
        backbone = BackboneConfig(name="resnet18", normalization="none", grayscale=grayscale).build()
        assert (backbone.mean, backbone.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_a_detector_and_its_config_file_keep_the_normalization() -> None:
    config = FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None, normalization="none"))
    detector = FCOSConfig.from_json(config.to_json()).build(2)
    image = torch.rand(3, 32, 64)
    torch.testing.assert_close(detector.prepare([image]).images[0], image, atol=0, rtol=0)
