from __future__ import annotations

import copy
import math
from collections import OrderedDict
from typing import Literal

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool, LastLevelP6P7

from detkit.accelerate.fold import fold_batch_norms
from detkit.accelerate.fused import FusedConv
from detkit.config import ConfigError
from detkit.necks import FPN, FPNConfig, NeckConfig


class Stub(nn.Module):
    """Backbone with one strided convolution per level."""

    def __init__(self, channels: tuple[int, ...] = (8, 12, 16), strides: tuple[int, ...] = (8, 16, 32)) -> None:
        super().__init__()
        self.channels, self.strides = channels, strides
        self.level_names = tuple(f"c{k}" for k in range(3, 3 + len(channels)))
        self.mean = self.std = (0.5, 0.5, 0.5)
        self.convs = nn.ModuleList(nn.Conv2d(3, c, 3, stride=s, padding=1) for c, s in zip(channels, strides, strict=True))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(conv(images) for conv in self.convs)


def torchvision_fpn(fpn: FPN, extra: str | None, norm: str | None) -> FeaturePyramidNetwork:
    """Return torchvision's pyramid with the same weights; the strict load checks that the names agree."""
    blocks = {
        None: None,
        "pool": LastLevelMaxPool(),
        "p6p7": LastLevelP6P7(32, 32),
        "p6p7_c5": LastLevelP6P7(16, 32),
    }
    reference = FeaturePyramidNetwork([8, 12, 16], 32, extra_blocks=blocks[extra], norm_layer=nn.BatchNorm2d if norm else None)
    reference.load_state_dict({key: value for key, value in fpn.state_dict().items() if not key.startswith("backbone.")}, strict=True)
    return reference.train(fpn.training)


@pytest.mark.oracle("torchvision", "FPN", tolerance="equal, bit for bit")
@pytest.mark.parametrize("norm", [None, "batch"])
@pytest.mark.parametrize("extra", [None, "pool", "p6p7", "p6p7_c5"])
@pytest.mark.parametrize("size", [(64, 96), (97, 130)])
def test_equals_torchvision_bit_for_bit(size: tuple[int, int], extra: str | None, norm: str | None) -> None:
    torch.manual_seed(0)
    fpn = FPNConfig(out_channels=32, extra_levels=extra, norm=norm).build(Stub()).eval()  # type: ignore[arg-type]
    reference = torchvision_fpn(fpn, extra, norm)
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        outputs = fpn(images)
        expected = list(reference(OrderedDict(enumerate(fpn.backbone(images)))).values())
    assert len(outputs) == len(expected) == len(fpn.channels) == len(fpn.strides)
    assert all(torch.equal(a, b) for a, b in zip(outputs, expected, strict=True))


@pytest.mark.parametrize("extra", [None, "pool", "p6p7", "p6p7_c5"])
def test_declared_shapes_on_odd_sizes(extra: str | None) -> None:
    fpn = FPN(Stub(), 16, extra=extra)  # type: ignore[arg-type]
    for level, channels, stride in zip(fpn(torch.randn(1, 3, 101, 75)), fpn.channels, fpn.strides, strict=True):
        assert tuple(level.shape) == (1, channels, math.ceil(101 / stride), math.ceil(75 / stride))


def test_two_levels_with_the_same_stride() -> None:
    """Use two levels of stride 32, as torchvision's MobileNet detectors do."""
    fpn = FPN(Stub((8, 12), (32, 32)), 16)
    assert fpn.strides == (32, 32, 64)
    assert [level.shape[-1] for level in fpn(torch.randn(1, 3, 64, 96))] == [3, 3, 2]


def test_gradients_reach_every_parameter() -> None:
    fpn = FPN(Stub(), 16, extra="p6p7_c5", norm="batch")
    sum(level.pow(2).mean() for level in fpn(torch.randn(2, 3, 128, 128))).backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in fpn.parameters())


@pytest.mark.parametrize("norm", [None, "batch"])
def test_bf16_channels_last_and_folding_stay_close(norm: str | None) -> None:
    torch.manual_seed(0)
    fpn = FPN(Stub(), 32, norm=norm).eval()  # type: ignore[arg-type]
    images = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        expected = fpn(images)
        fast = fold_batch_norms(fpn).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            outputs = fast(images.to(memory_format=torch.channels_last))
    for output, reference in zip(outputs, expected, strict=True):
        assert output.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(output.float(), reference, rtol=0.05, atol=0.05 * float(reference.abs().max()))


def test_has_the_interface_of_a_backbone() -> None:
    fpn = FPN(Stub(), 16)
    assert (fpn.mean, fpn.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert fpn.level_names == ("p3", "p4", "p5", "p6")


@pytest.mark.parametrize(
    "config", [FPNConfig(), FPNConfig(out_channels=64, extra_levels="p6p7_c5", norm="batch"), FPNConfig(extra_levels=None)]
)
def test_round_trip(config: FPNConfig) -> None:
    assert TypeAdapter(NeckConfig).validate_json(config.to_json()) == config


def test_invalid_extra_levels_are_rejected() -> None:
    with pytest.raises(ConfigError, match="extra_levels: expected 'pool', 'p6p7' or 'p6p7_c5'"):
        FPNConfig(extra_levels="p6")  # type: ignore[arg-type]


@torch.no_grad()
@pytest.mark.parametrize("norm", [None, "batch"])
def test_joint_sums_give_the_same_outputs_and_modify_no_inputs(norm: Literal["batch"] | None) -> None:
    torch.manual_seed(0)
    plain = fold_batch_norms(FPNConfig(out_channels=32, extra_levels=None, norm=norm).build(Stub()).eval())  # type: ignore[arg-type]
    joint = copy.deepcopy(plain)
    joint.join_sums()
    assert list(joint.state_dict()) == list(plain.state_dict())
    assert all(isinstance(block[0], FusedConv) for block in joint.inner_blocks)  # type: ignore[index]
    kept: list[tuple[Tensor, Tensor]] = []
    joint.backbone.register_forward_hook(lambda _module, _inputs, maps: kept.extend((one, one.clone()) for one in maps))
    images = torch.randn(2, 3, 97, 130).contiguous(memory_format=torch.channels_last)
    for output, expected in zip(joint(images), plain(images), strict=True):
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
    assert len(kept) == 3
    assert all(torch.equal(after, before) for after, before in kept)
