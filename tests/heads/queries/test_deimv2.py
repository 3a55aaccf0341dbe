"""The options of the decoder that DEIMv2 uses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from detkit.heads.queries.dfine import DFINEHead, DFINEHeadConfig
from detkit.heads.queries.rtdetr import RTDETRHead, RTDETRHeadConfig
from detkit.structures import Batch, Targets

OPTIONS: dict[str, Any] = {"norm": "rms", "feed_forward": "swiglu", "positions": "once", "project_cells": False}
SIZES: dict[str, Any] = {"channels": 16, "attention_heads": 2, "hidden": 24, "layers": 3, "num_queries": 12, "points": (2, 1)}
CONFIG = DFINEHeadConfig(**SIZES, **OPTIONS, gated=False, shared_box_head=True, united_matches=False)
HEADS = [CONFIG, CONFIG.replace(gated=True, shared_box_head=False, united_matches=True), RTDETRHeadConfig(**SIZES, **OPTIONS)]


def build(config: RTDETRHeadConfig) -> RTDETRHead:
    torch.manual_seed(0)
    return config.build((16, 16), (16, 32), 3)


def inputs() -> tuple[list[Tensor], Batch, list[Targets]]:
    torch.manual_seed(1)
    maps = [torch.randn(2, 16, 6, 6), torch.randn(2, 16, 3, 3)]
    batch = Batch(torch.zeros(2, 3, 96, 96), ((96, 96), (96, 96)))
    boxes = torch.tensor([[10.0, 12.0, 50.0, 60.0], [30.0, 20.0, 90.0, 80.0]])
    return maps, batch, [Targets.of(boxes, torch.tensor([0, 2])), Targets.empty()]


@pytest.mark.parametrize("config", HEADS, ids=["small", "gated", "rtdetr"])
@pytest.mark.parametrize("objects", [True, False])
def test_gradients_reach_every_parameter(config: RTDETRHeadConfig, objects: bool) -> None:
    head = build(config).train()
    maps, batch, targets = inputs()
    targets = targets if objects else [Targets.empty()] * 2
    losses = head.loss(head.forward_with_targets(maps, batch, targets), [], batch, targets)
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(parameter.grad is not None for parameter in head.parameters() if parameter.requires_grad)


def test_positions_are_embedded_once() -> None:
    for positions, expected in (("once", 1), ("every_layer", 3)):
        head, calls = build(CONFIG.replace(positions=positions)).eval(), []
        head.query_pos_head.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        head(*inputs()[:2])
        assert len(calls) == expected


@torch.no_grad()
def test_a_shared_head_equals_layers_with_equal_weights() -> None:
    shared, separate = build(CONFIG), build(CONFIG.replace(shared_box_head=False))
    for parameter in shared.parameters():
        parameter.copy_(parameter + 0.1 * torch.randn_like(parameter))
    tensors = shared.state_dict()
    assert not any(name.startswith("dec_bbox_head.1") for name in tensors)
    copies = {
        name.replace("head.0", f"head.{index}"): value for index in (1, 2) for name, value in tensors.items() if "bbox_head.0" in name
    }
    separate.load_state_dict(tensors | copies)
    maps, batch, _ = inputs()
    for output, expected in zip(shared.eval()(maps, batch), separate.eval()(maps, batch), strict=True):
        assert_close(output, expected, atol=0, rtol=0)


@torch.no_grad()
def test_without_union_each_stage_learns_from_its_own_matches() -> None:
    maps, batch, targets = inputs()
    heads = [build(CONFIG.replace(united_matches=united)).eval() for united in (False, True)]
    assert isinstance(heads[0], DFINEHead)
    outputs = heads[0].forward_with_targets(maps, batch, targets)
    alone, united = (head.loss_terms(outputs, batch, targets) for head in heads)
    assert_close(alone["class"], united["class"])
    stage = build(RTDETRHeadConfig(**SIZES, **OPTIONS)).loss_terms(outputs[:5], batch, targets)
    assert_close(alone["box"], stage["box"])
    assert_close(alone["giou"], stage["giou"])
    assert not torch.allclose(alone["box"], united["box"])


@torch.no_grad()
def test_swiglu_and_rms_norm_are_the_formulas() -> None:
    layer = build(CONFIG).layers[0]
    x = torch.randn(4, 16)
    first, second = (x @ layer.swish_ffn.w12.weight.T).chunk(2, 1)
    expected = (first * first.sigmoid() * second) @ layer.swish_ffn.w3.weight.T
    assert layer.swish_ffn.w3.weight.shape == (16, 12)
    assert_close(layer.swish_ffn(x), expected)
    layer.norm1.weight.uniform_(0.5, 1.5)
    assert_close(layer.norm1(x), layer.norm1.weight * x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt())
