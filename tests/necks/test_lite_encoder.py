from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

sys.path.insert(0, str(Path(__file__).parent))
from test_hybrid_encoder import DFINE, Maps, fit_norms

from detkit.accelerate.fold import fold_batch_norms
from detkit.necks import LiteEncoderConfig

CONFIG = LiteEncoderConfig(channels=16)


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
@torch.no_grad()
def test_it_returns_two_levels_and_folding_keeps_them(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    backbone = Maps((12,), (16,))
    (source,) = backbone.random(*size)
    neck = CONFIG.build(backbone)
    fit_norms(neck)
    maps = neck(torch.zeros(0))
    assert (neck.channels, neck.strides, neck.level_names) == ((16, 16), (16, 32), ("p4", "p5"))
    height, width = source.shape[2:]
    assert [output.shape[2:] for output in maps] == [(height, width), ((height + 1) // 2, (width + 1) // 2)]
    for output, expected in zip(fold_batch_norms(neck)(torch.zeros(0)), maps, strict=True):
        assert_close(output, expected, atol=1e-4, rtol=1e-4)


def test_gradients_reach_every_parameter() -> None:
    backbone = Maps((12,), (16,))
    (source,) = backbone.random(64, 96)
    source.requires_grad_()
    neck = CONFIG.build(backbone).train()
    neck(torch.zeros(0))[1].square().mean().backward()
    assert source.grad is not None
    assert all(parameter.grad is not None for parameter in neck.parameters())


def test_more_than_one_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lite_encoder: expected one map, got c3, c4, c5; set model.backbone.levels to .* c5"):
        CONFIG.build(Maps())


@torch.no_grad()
def test_a_hybrid_encoder_that_adds_has_narrower_blocks() -> None:
    torch.manual_seed(0)
    backbone = Maps()
    sources = backbone.random(64, 96)
    neck = DFINE.replace(join="sum").build(backbone)
    assert [block.cv1.conv.in_channels for block in (*neck.fpn_blocks, *neck.pan_blocks)] == [32] * 4
    fit_norms(neck)
    assert [output.shape[2:] for output in neck(torch.zeros(0))] == [source.shape[2:] for source in sources]
