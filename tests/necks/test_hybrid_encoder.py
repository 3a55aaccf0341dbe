from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from detkit.accelerate.fold import fold_batch_norms
from detkit.accelerate.fused import fuse_activations
from detkit.backbones import BackboneConfig
from detkit.layers.rep_blocks import RepVGGBlock
from detkit.necks import HybridEncoderConfig

RTDETR = HybridEncoderConfig(channels=32, hidden=48, attention_heads=4, expansion=0.5, depth=0.67)
DFINE = HybridEncoderConfig(channels=32, hidden=48, attention_heads=4, block="rep_elan", downsample="separable", expansion=0.34, depth=0.34)
CONFIGS = [RTDETR, DFINE, RTDETR.replace(attention_levels=(0, -1), encoder_layers=2, activation="relu")]


class Maps(nn.Module):
    """Backbone stub that returns given maps."""

    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self, channels: tuple[int, ...] = (8, 12, 20), strides: tuple[int, ...] = (8, 16, 32)) -> None:
        super().__init__()
        self.channels, self.strides = channels, strides
        self.level_names = tuple(f"c{stride.bit_length() - 1}" for stride in strides)

    def random(self, height: int, width: int, count: int = 2) -> tuple[Tensor, ...]:
        self.maps = tuple(torch.randn(count, c, -(-height // s), -(-width // s)) for c, s in zip(self.channels, self.strides, strict=True))
        return self.maps

    def forward(self, _: Tensor) -> tuple[Tensor, ...]:
        return self.maps


@torch.no_grad()
def fit_norms(neck: nn.Module) -> None:
    """Give every norm random parameters, and the statistics of one batch."""
    norms = [part for part in neck.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_(std=0.2)
        norm.momentum = None
    neck.train()(torch.zeros(0))
    neck.eval()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.block}-{len(config.attention_levels)}")
@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
@torch.no_grad()
def test_every_level_keeps_its_size_and_folding_keeps_the_outputs(config: HybridEncoderConfig, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    backbone = Maps()
    sources = backbone.random(*size)
    neck = config.build(backbone)
    fit_norms(neck)
    maps = neck(torch.zeros(0))
    assert (neck.channels, neck.strides, neck.level_names) == ((32,) * 3, backbone.strides, ("p3", "p4", "p5"))
    assert [output.shape[2:] for output in maps] == [source.shape[2:] for source in sources]
    folded = fold_batch_norms(neck)
    assert not any(isinstance(part, nn.BatchNorm2d | RepVGGBlock) for part in folded.modules())
    convolutions = [sum(isinstance(part, nn.Conv2d) for part in module.modules()) for module in (neck, folded)]
    assert convolutions[0] - convolutions[1] == sum(isinstance(part, RepVGGBlock) for part in neck.modules()) > 0
    for faster in (folded, fuse_activations(folded)):
        for output, expected in zip(faster(torch.zeros(0)), maps, strict=True):
            assert_close(output, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.block}-{len(config.attention_levels)}")
def test_gradients_reach_every_map_and_parameter(config: HybridEncoderConfig) -> None:
    torch.manual_seed(0)
    backbone = Maps()
    sources = [source.requires_grad_() for source in backbone.random(64, 96)]
    neck = config.build(backbone).train()
    outputs = neck(torch.zeros(0))
    for output in outputs:
        assert all(bool(gradient.any()) for gradient in torch.autograd.grad(output.square().sum(), sources, retain_graph=True))
    sum(output.square().sum() for output in outputs).backward()
    assert [name for name, parameter in neck.named_parameters() if parameter.grad is None or not parameter.grad.any()] == []


@torch.no_grad()
def test_attention_covers_the_whole_map_and_depends_on_the_order_of_cells() -> None:
    torch.manual_seed(0)
    attend = RTDETR.build(Maps()).eval().encoder[0]
    map_ = torch.randn(1, 32, 3, 5)
    changed = map_.clone()
    changed[..., 2, 4] += 1
    assert bool((attend(changed) - attend(map_)).abs().amax(1).gt(1e-6).all())
    flipped = attend(map_.flip(-1)).flip(-1)
    assert float((flipped - attend(map_)).abs().max()) > 1e-3  # without positions the two would be equal


@pytest.mark.parametrize("levels", [("c4",), ("c4", "c5"), ("c2", "c3", "c4", "c5"), ("c2", "c5")])
@torch.no_grad()
def test_any_levels_of_a_backbone(levels: tuple[str, ...]) -> None:
    backbone = BackboneConfig(name="resnet18", weights=None, levels=levels).build()
    neck = DFINE.build(backbone).eval()
    images = torch.zeros(1, 3, 70, 101)
    assert [output.shape[2:] for output in neck(images)] == [source.shape[2:] for source in backbone(images)]
    assert len(neck.channels) == len(levels)


def test_levels_that_do_not_exist_are_named() -> None:
    with pytest.raises(ValueError, match=r"attention_levels: expected indices from -3 to 2 .*got 3"):
        RTDETR.replace(attention_levels=(3,)).build(Maps())
    with pytest.raises(ValueError, match="strides that are multiples"):
        RTDETR.build(Maps((8, 8), (8, 12)))
    with pytest.raises(ValueError, match="channels: expected a multiple of 4 and of attention_heads=8, got 100"):
        HybridEncoderConfig(channels=100)


def test_no_attention_layers() -> None:
    backbone = Maps()
    backbone.random(64, 64)
    neck = RTDETR.replace(encoder_layers=0).build(backbone).eval()
    assert not list(neck.encoder.parameters())
    assert len(neck(torch.zeros(0))) == 3
