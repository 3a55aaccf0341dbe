"""Full networks used like backbones: stages, freezing, and weights that load into either."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from detkit.backbones import BackboneConfig, load_backbone_weights
from detkit.backbones.full_network import FullNetwork
from detkit.checkpoint import make_header, save_checkpoint
from detkit.layers import FrozenBatchNorm


def full_network(name: str, **options: object) -> FullNetwork:
    return FullNetwork(BackboneConfig(name=name, weights=None, **options), 3)  # type: ignore[arg-type]


NAMES = ("lenet5", "csp_darknet_nano", "timm/resnet10t")
SLOW = (
    *("bn_inception", "deit_tiny_distilled_patch16_224", "densenet121", "efficientnet_lite0", "googlenet", "legacy_seresnet50"),
    *("hgnetv2_b0", "mobilenet_v3_large", "resnet18vd", "resnet50_clip", "swin_t", "vgg11", "zfnet"),
)


@pytest.mark.parametrize("name", [*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_stages_equal_those_of_the_backbone(name: str) -> None:
    """Each stage has as many parameters; layers after the last stage belong to it, and the head to none."""
    with torch.device("meta"):
        network, plain = full_network(name), BackboneConfig(name=name, weights=None).build()
    sizes, expected = ([sum(p.numel() for p in stage.parameters()) for stage in net.stages()] for net in (network, plain))
    assert sizes[:-1] == expected[:-1]
    assert sizes[-1] >= expected[-1]
    in_stages = {id(p) for stage in network.stages() for p in stage.parameters()}
    outside = {name for name, p in network.named_parameters() if id(p) not in in_stages}
    auxiliary = {name for name in outside if name.startswith(("network.aux", "network.Aux"))}
    assert outside - auxiliary == set(network.head_names) - auxiliary


def test_frozen_stages_stay_in_eval_mode_and_do_not_move() -> None:
    network = full_network("shufflenet_v2_x0_5", norm="train")
    network.freeze(3)
    network.train()
    assert "3 of 5 stages are frozen (network.conv1, network.stage2)" in network.frozen_summary()
    assert not network.get_submodule("network.stage2.0.branch1.1").training
    assert network.get_submodule("network.stage3.0.branch1.1").training
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.rand(2, 3, 64, 64))[0].sum().backward()
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith(("network.conv1", "network.stage2")))
    assert network.get_parameter("network.stage2.0.branch1.0.weight").grad is None
    assert network.get_parameter("network.fc.weight").grad is not None


def test_norms_and_normalization_follow_the_config() -> None:
    assert full_network("shufflenet_v2_x0_5", normalization="none").std == (1.0, 1.0, 1.0)
    network = full_network("shufflenet_v2_x0_5", norm="frozen")
    assert isinstance(network.get_submodule("network.conv1.1"), FrozenBatchNorm)
    assert network(torch.rand(1, 3, 64, 64))[0].shape == (1, 3)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "as_run"),
    [("lenet5", False), ("csp_darknet_nano", True), pytest.param("deit_tiny_patch16_224", False, marks=pytest.mark.slow)],
)
def test_its_weights_load_into_a_backbone_and_another_classifier(name: str, as_run: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = full_network(name, norm="train")
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, {f"neck.backbone.{key}": value for key, value in trained.state_dict().items()}, make_header("{}", ["a"]))
    config = BackboneConfig(name=name, weights=str(tmp_path if as_run else path), norm="train", frozen_stages=0)
    backbone, other = config.build(), FullNetwork(config, 9)
    head = other.get_parameter(other.head_names[0]).clone()
    load_backbone_weights(backbone, config)
    load_backbone_weights(other, config)
    stages = zip(trained.stages(), backbone.stages(), other.stages(), strict=True)
    for own, plain, reloaded in list(stages)[:-1]:
        assert sums(own) == sums(plain) == sums(reloaded)
    assert torch.equal(other.get_parameter(other.head_names[0]), head)


def sums(stage: torch.nn.Module) -> list[float]:
    return sorted(float(value.double().sum()) for value in stage.parameters())


@pytest.mark.slow
def test_imagenet_weights_load_except_for_the_head() -> None:
    """The published file of EfficientNet-Lite0 uses the names of another package."""
    config = BackboneConfig(name="efficientnet_lite0", frozen_stages=0, norm="train")
    network = FullNetwork(config, 4)
    before: Tensor = network.get_parameter("network.conv_head.weight").clone()
    load_backbone_weights(network, config)
    assert network.get_parameter("network.classifier.weight").shape == (4, 1280)
    assert not torch.equal(network.get_parameter("network.conv_head.weight"), before)


def test_checkpoint_of_another_network_is_an_error(tmp_path: Path) -> None:
    trained = full_network("lenet5")
    tensors = {f"neck.backbone.{key}": value for key, value in trained.state_dict().items()}
    save_checkpoint(tmp_path / "best.safetensors", tensors, make_header("{}", ["a"]))
    config = BackboneConfig(name="shufflenet_v2_x0_5", weights=str(tmp_path))
    with pytest.raises(ValueError, match=r"best.safetensors: expected the tensors of shufflenet_v2_x0_5, got .* another network"):
        load_backbone_weights(config.build(), config)
