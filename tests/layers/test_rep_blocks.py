from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detkit.accelerate.fold import fold_batch_norms, sum_convolutions
from detkit.layers.rep_blocks import ConvNorm, CSPRepBlock, RepELANBlock, RepVGGBlock, SeparableDownsample


@torch.no_grad()
def fitted(block: nn.Module, channels: int) -> nn.Module:
    """The block with random norms, in eval mode."""
    torch.manual_seed(0)
    for norm in [part for part in block.modules() if isinstance(part, nn.BatchNorm2d)]:
        norm.weight.uniform_(-1, 2)
        norm.bias.normal_()
        norm.momentum = None
    block.train()(torch.randn(4, channels, 9, 7))
    return block.eval()


@torch.no_grad()
def test_a_rep_vgg_block_becomes_one_convolution() -> None:
    block, x = fitted(RepVGGBlock(8), 8), torch.randn(2, 8, 9, 7)
    folded = fold_batch_norms(block)
    assert [type(part) for part in folded.children()] == [nn.Conv2d, nn.SiLU]
    assert_close(folded(x), block(x), atol=1e-5, rtol=1e-5)
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert isinstance(block, RepVGGBlock)
    assert block.merge_branches() is block  # its norms are not folded


@torch.no_grad()
def test_the_sum_of_convolutions_keeps_stride_and_groups() -> None:
    torch.manual_seed(0)
    large, small = nn.Conv2d(4, 8, 5, 2, 2, groups=2), nn.Conv2d(4, 8, 1, 2, groups=2)
    x = torch.randn(2, 4, 9, 8)
    assert_close(sum_convolutions(large, small)(x), large(x) + small(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("block", "channels", "shape"),
    [
        (ConvNorm(6, 8, 3, stride=2), 6, (8, 5, 4)),
        (CSPRepBlock(6, 8, 2, 0.5), 6, (8, 9, 7)),
        (CSPRepBlock(6, 8, 2), 6, (8, 9, 7)),
        (RepELANBlock(6, 8, 1, 0.34), 6, (8, 9, 7)),
        (SeparableDownsample(6), 6, (6, 5, 4)),
        (SeparableDownsample(6, 4), 6, (6, 3, 2)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
@torch.no_grad()
def test_shapes_and_folding(block: nn.Module, channels: int, shape: tuple[int, ...]) -> None:
    block, x = fitted(block, channels), torch.randn(2, channels, 9, 7)
    assert block(x).shape[1:] == shape
    assert_close(fold_batch_norms(block)(x), block(x), atol=1e-5, rtol=1e-5)


def test_widths_are_rounded_as_published() -> None:
    assert RepELANBlock(256, 128, 2, 0.34).cv4.conv.in_channels == 256 + 2 * 21  # D-FINE-N
    assert RepELANBlock(768, 384, 1).cv4.conv.in_channels == 768 + 2 * 192  # D-FINE-X
    assert CSPRepBlock(512, 256, 3, 0.5).conv1.conv.out_channels == 128  # RT-DETR-R18
