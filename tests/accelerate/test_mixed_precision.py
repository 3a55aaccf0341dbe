from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detkit.accelerate.fused import can_fuse
from detkit.accelerate.mixed_precision import MixedPrecisionConv


def layer() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(64, 96, 3, padding=1)


def test_bfloat16_products_are_summed_in_float32() -> None:
    conv = layer()
    x = torch.randn(2, 64, 20, 24).relu().bfloat16().contiguous(memory_format=torch.channels_last)
    layer_in_bf16 = MixedPrecisionConv(conv)
    expected = nn.functional.conv2d(x.float(), conv.weight.bfloat16().float(), conv.bias, padding=1)
    rounded = nn.functional.conv2d(x, conv.weight.bfloat16(), conv.bias.bfloat16(), padding=1).float()
    with torch.no_grad():
        result = layer_in_bf16(x)
    assert result.dtype == torch.float32
    assert_close(result, expected, atol=2e-4, rtol=0)
    assert float((rounded - expected).detach().abs().max()) > 2e-3  # the rounding error that the second pass removes
    assert_close(layer_in_bf16(x), expected, atol=1e-5, rtol=1e-5)  # with gradients recorded


def test_split_weights_give_the_float32_result() -> None:
    conv = layer()
    x = torch.randn(2, 64, 20, 24).relu().bfloat16().contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = conv(x.float())
        assert_close(MixedPrecisionConv(conv, split=True)(x), expected, atol=2e-4, rtol=0)
        assert not torch.allclose(MixedPrecisionConv(conv)(x), expected, atol=2e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("split", [False, True])
def test_products_without_bfloat16_in_onednn_are_float32(split: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.accelerate.mixed_precision.can_fuse", lambda dtype=torch.float32: dtype != torch.bfloat16)
    conv = layer()
    x = torch.randn(2, 64, 20, 24).relu().bfloat16()
    weight = conv.weight if split else conv.weight.bfloat16().float()
    result = MixedPrecisionConv(conv, split=split)(x)
    assert_close(result, nn.functional.conv2d(x.float(), weight, conv.bias, padding=1), atol=2e-4, rtol=0)


@pytest.mark.skipif(not can_fuse(torch.bfloat16), reason="oneDNN does not accept bfloat16 on this CPU: all products are float32")
@torch.no_grad()
def test_few_logits_become_equal() -> None:
    conv = layer()
    x = torch.randn(1, 64, 40, 40).relu().bfloat16()
    result, rounded = MixedPrecisionConv(conv)(x), MixedPrecisionConv(conv, exact=False)(x)
    assert len(result.unique()) > 0.9 * result.numel()
    assert_close(rounded, result, atol=1e-2, rtol=1e-2)
    assert not torch.equal(rounded, result)
    assert len(conv.to(torch.bfloat16)(x).unique()) < 0.1 * result.numel()
