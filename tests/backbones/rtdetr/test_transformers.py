"""HGNetV2 and ResNet-vd compared with those of ``transformers`` on the same weights, through the names of three publishers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from detkit.backbones import Backbone, BackboneConfig, backbone_info
from detkit.backbones.classifiers import library_network

pytest.importorskip("transformers", reason="a dependency of this test only: pip install detkit-vision[test]")

DEPTHS = {"18": (2, 2, 2, 2), "34": (3, 4, 6, 3), "50": (3, 4, 6, 3), "101": (3, 4, 23, 3)}
# Blocks, layers, channels of the stem, middle channels, and whether affine blocks follow the activations (D-FINE's hgnetv2.py).
HGNETS: dict[str, Any] = {
    "hgnetv2_b0": ((1, 1, 2, 1), 3, (16, 16), (16, 32, 64, 128), True),
    "hgnetv2_b1": ((1, 1, 2, 1), 3, (24, 32), (32, 48, 96, 192), True),
    "hgnetv2_b2": ((1, 1, 3, 1), 4, (24, 32), (32, 64, 128, 256), True),
    "hgnetv2_b3": ((1, 1, 3, 1), 5, (24, 32), (32, 64, 128, 256), True),
    "hgnetv2_b4": ((1, 1, 3, 1), 6, (32, 48), (48, 96, 192, 384), False),
    "hgnetv2_b5": ((1, 2, 5, 2), 6, (32, 64), (64, 128, 256, 512), False),
}
NAMES = ["resnet18vd", "resnet34vd", "resnet50d", "resnet101d", *HGNETS]
FAST = ("resnet18vd", "hgnetv2_b0")


def reference_network(name: str) -> nn.Module:
    if name.startswith("resnet"):
        from transformers import RTDetrResNetConfig
        from transformers.models.rt_detr.modeling_rt_detr_resnet import RTDetrResNetBackbone

        depth = re.sub(r"\D", "", name)
        deep = int(depth) >= 50
        config = RTDetrResNetConfig(
            depths=list(DEPTHS[depth]),
            hidden_sizes=[256, 512, 1024, 2048] if deep else [64, 128, 256, 512],
            layer_type="bottleneck" if deep else "basic",
            out_indices=[1, 2, 3, 4],
        )
        return RTDetrResNetBackbone(config)
    from transformers import HGNetV2Backbone, HGNetV2Config

    blocks, layers, (stem, stem_out), middle, affine = HGNETS[name]
    widths = [level.channels for level in backbone_info(name).levels]
    config = HGNetV2Config(
        stem_channels=[3, stem, stem_out],
        stage_in_channels=[stem_out, *widths[:3]],
        stage_mid_channels=list(middle),
        stage_out_channels=widths,
        stage_num_blocks=list(blocks),
        stage_numb_of_layers=[layers] * 4,
        use_learnable_affine_block=affine,
        out_indices=[1, 2, 3, 4],
    )
    return HGNetV2Backbone(config)


@torch.no_grad()
def condition(network: nn.Module) -> None:
    """Give norms and affine blocks random values, and norms the statistics of one batch."""
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            parameter.uniform_(0.5, 1.5) if name.endswith(("weight", "scale")) else parameter.normal_(std=0.2)
    for norm in [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]:
        norm.momentum = None
    network.train()(torch.rand(2, 3, 96, 128))
    network.eval()


def load(name: str, tensors: dict[str, Tensor]) -> Backbone:
    levels = tuple(level.name for level in backbone_info(name).levels if level.stride > 2)
    backbone = BackboneConfig(name=name, weights=None, levels=levels).build().eval()
    renamed = backbone.rename_published(tensors)
    backbone.load_state_dict({key: value for key, value in renamed.items() if not key.startswith(backbone.unused_prefixes)})
    return backbone


@pytest.fixture(scope="module", params=[name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NAMES])
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, Backbone]:
    torch.manual_seed(0)
    reference = reference_network(request.param)
    condition(reference)
    return reference, load(request.param, reference.state_dict())


@pytest.mark.oracle("transformers", "feature maps of HGNetV2 and ResNet-vd", tolerance="1e-4")
@pytest.mark.parametrize("size", [(96, 128), (97, 75)])
@torch.no_grad()
def test_maps_equal_those_of_transformers(pair: tuple[nn.Module, Backbone], size: tuple[int, int]) -> None:
    reference, backbone = pair
    images = torch.rand(2, 3, *size)
    for output, expected in zip(backbone(images), reference(images).feature_maps, strict=True):
        scale = float(expected.std())
        assert scale > 1e-3
        assert_close(output / scale, expected / scale, atol=1e-4, rtol=1e-4)


def as_original(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of ``transformers`` changed to those of the repositories of RT-DETR (``presnet.py``) and D-FINE (``hgnetv2.py``)."""
    rules: tuple[tuple[str, Any], ...] = (
        (r"^embedder\.embedder\.(\d)\.", lambda match: f"conv1.conv1_{int(match[1]) + 1}."),
        (r"^encoder\.stages\.(\d)\.layers\.", r"res_layers.\1.blocks."),
        (r"\.layer\.(\d)\.", lambda match: f".branch2{'abc'[int(match[1])]}."),
        (r"\.shortcut\.1\.", ".short.conv."),
        (r"\.shortcut\.", ".short."),
        (r"\.convolution\.", ".conv."),
        (r"\.normalization\.", ".norm."),
    )
    if name.startswith("hgnet"):
        rules = ((r"^embedder\.", "stem."), (r"^encoder\.", ""), (r"\.convolution\.", ".conv."), (r"\.normalization\.", ".bn."))
    renamed = {}
    for key, tensor in tensors.items():
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        renamed[key] = tensor
    return renamed


@pytest.mark.oracle("transformers", "HGNetV2 and ResNet-vd under three naming schemes", tolerance="equal")
@torch.no_grad()
def test_names_of_the_original_repositories(pair: tuple[nn.Module, Backbone]) -> None:
    reference, backbone = pair
    original = load(backbone.name, as_original(backbone.name, reference.state_dict()))
    assert all(torch.equal(value, original.state_dict()[key]) for key, value in backbone.state_dict().items())


@pytest.mark.parametrize("name", ["resnet18d", "hgnetv2_b0", pytest.param("resnet50d", marks=pytest.mark.slow)])
@torch.no_grad()
def test_maps_equal_those_of_timms_network(name: str) -> None:
    torch.manual_seed(0)
    network = library_network(name)
    condition(network)
    backbone = load(name, network.state_dict())
    images = torch.rand(1, 3, 97, 75)
    assert_close(backbone(images)[-1], network.forward_features(images), atol=1e-5, rtol=1e-4)
