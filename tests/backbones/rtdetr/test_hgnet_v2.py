"""The parts of HGNetV2 that are faster in detection equal timm's."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detkit.accelerate.fold import fold_batch_norms
from detkit.accelerate.fused import FusedConv, fuse_activations
from detkit.backbones import BackboneConfig
from detkit.backbones.rtdetr.hgnet_v2 import ConvBlock, FastPool


@torch.no_grad()
def block(scale: float, bias: float) -> ConvBlock:
    from timm.models.hgnet import ConvBNAct

    torch.manual_seed(0)
    part = ConvBNAct(4, 6, 3, use_lab=True)
    part.bn.weight.normal_()
    part.bn.bias.normal_()
    part.lab.scale.fill_(scale)
    part.lab.bias.fill_(bias)
    return ConvBlock(OrderedDict(part.named_children())).eval()


@pytest.mark.parametrize(("scale", "bias", "merged"), [(0.5, -0.3, True), (2.0, 0.7, True), (-0.5, 0.2, False), (0.0, 0.2, False)])
@torch.no_grad()
def test_an_affine_block_after_an_activation_folds_into_the_convolution(scale: float, bias: float, merged: bool) -> None:
    layer, x = block(scale, bias), torch.randn(2, 4, 9, 7)
    folded = fold_batch_norms(nn.Sequential(layer))
    assert isinstance(folded[0], ConvBlock) != merged
    assert_close(folded(x), layer(x), atol=1e-5, rtol=1e-5)
    fused = fuse_activations(folded)
    assert any(isinstance(part, FusedConv) for part in fused.modules())
    assert_close(fused(x), layer(x), atol=1e-5, rtol=1e-5)
    assert layer.merge_branches() is layer  # its norm is not folded


@torch.no_grad()
def test_a_folded_and_fused_network_has_the_same_maps() -> None:
    torch.manual_seed(0)
    backbone = BackboneConfig(name="hgnetv2_b0", weights=None).build().eval()
    for name, parameter in backbone.named_parameters():
        if ".lab." in name:
            parameter.add_(torch.randn(1) * 0.2)
    fast = fuse_activations(fold_batch_norms(backbone))
    assert not any("lab" in name and list(part.parameters()) for name, part in fast.named_modules())
    images = torch.rand(1, 3, 97, 75)
    for output, expected in zip(fast(images), backbone(images), strict=True):
        assert_close(output, expected, atol=1e-5, rtol=1e-4)


def test_pooling_equals_torchs_with_and_without_gradients() -> None:
    pool, x = FastPool(), torch.randn(2, 3, 6, 5)
    expected = nn.functional.max_pool2d(x, 2, 1)
    assert torch.equal(pool(x), expected)
    with torch.no_grad():
        assert torch.equal(pool(x), expected)
