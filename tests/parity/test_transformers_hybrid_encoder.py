"""The hybrid encoder compared with those of ``transformers`` on the same weights and maps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from conditioning import fit_norms
from torch import Tensor, nn
from torch.testing import assert_close

from detkit.necks import HybridEncoderConfig

pytest.importorskip("transformers", reason="a dependency of this test only: pip install detkit-vision[test]")

RTDETR = HybridEncoderConfig()
DFINE = HybridEncoderConfig(block="rep_elan", downsample="separable")
CASES = {
    "rtdetr_v2_r18": (RTDETR.replace(expansion=0.5), (128, 256, 512)),
    "rtdetr_v2_r50": (RTDETR, (512, 1024, 2048)),
    "rtdetr_v2_r101": (RTDETR.replace(channels=384, hidden=2048), (512, 1024, 2048)),
    "dfine_n": (DFINE.replace(channels=128, hidden=512, expansion=0.34, depth=0.5), (512, 1024)),
    "dfine_s": (DFINE.replace(expansion=0.5, depth=0.34), (256, 512, 1024)),
    "dfine_l": (DFINE, (512, 1024, 2048)),
}
SLOW = ("rtdetr_v2_r101", "dfine_l")
NAMES = (
    (r"^aifi\.", "encoder."),
    (r"self_attn\.o_proj", "self_attn.out_proj"),
    (r"self_attn_layer_norm", "norm1"),
    (r"final_layer_norm", "norm2"),
    (r"mlp\.(fc1|layers\.0)\.", "linear1."),
    (r"mlp\.(fc2|layers\.1)\.", "linear2."),
    (r"(downsample_convs\.\d+)\.conv([12])\.(?=conv|norm)", r"\1.cv\2."),
)
ELAN = (
    (r"_blocks\.(\d+)\.conv1\.", r"_blocks.\1.cv1."),
    (r"_blocks\.(\d+)\.csp_rep([12])\.", lambda match: f"_blocks.{match[1]}.cv{int(match[2]) + 1}.0."),
    (r"_blocks\.(\d+)\.conv([23])\.", r"_blocks.\1.cv\2.1."),
    (r"_blocks\.(\d+)\.conv4\.", r"_blocks.\1.cv4."),
)
"""Replacements from names of ``transformers`` to detkit's, the latter only for D-FINE's blocks."""


def convert(tensors: Mapping[str, Tensor], elan: bool) -> dict[str, Tensor]:
    """Rename the tensors, and join the projections of queries, keys and values."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name = key
        for pattern, replacement in (*NAMES, *(ELAN if elan else ())):
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    for name in [name for name in renamed if "q_proj" in name]:
        parts = [renamed.pop(name.replace("q_proj", part)) for part in ("q_proj", "k_proj", "v_proj")]
        renamed[re.sub(r"q_proj\.(weight|bias)", r"in_proj_\1", name)] = torch.cat(parts)
    return renamed


def build_reference(config: HybridEncoderConfig, count: int) -> nn.Module:
    from transformers import DFineConfig, RTDetrV2Config
    from transformers.models.d_fine.modeling_d_fine import DFineHybridEncoder
    from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import RTDetrV2HybridEncoder

    options: dict[str, Any] = {
        "encoder_hidden_dim": config.channels,
        "encoder_in_channels": [config.channels] * count,
        "feat_strides": [8, 16, 32][-count:],
        "encode_proj_layers": [count - 1],
        "encoder_ffn_dim": config.hidden,
        "hidden_expansion": config.expansion,
    }
    if config.block == "rep_elan":
        return DFineHybridEncoder(DFineConfig(**options, num_feature_levels=count, depth_mult=config.depth)).eval()
    return RTDetrV2HybridEncoder(RTDetrV2Config(**options)).eval()


class Maps(nn.Module):
    """Backbone stub that returns given maps."""

    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.channels, self.strides = channels, (8, 16, 32)[-len(channels) :]
        self.level_names = ("c3", "c4", "c5")[-len(channels) :]

    def random(self, height: int, width: int, count: int = 2) -> tuple[Tensor, ...]:
        self.maps = tuple(torch.randn(count, c, height // s, width // s) for c, s in zip(self.channels, self.strides, strict=True))
        return self.maps

    def forward(self, _: Tensor) -> tuple[Tensor, ...]:
        return self.maps


@pytest.mark.oracle("transformers", "the hybrid encoder of RT-DETR and D-FINE", tolerance="1e-4")
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in CASES])
@torch.no_grad()
def test_outputs_equal_those_of_transformers(name: str) -> None:
    torch.manual_seed(0)
    config, channels = CASES[name]
    backbone = Maps(channels)
    neck = config.build(backbone).eval()
    reference = build_reference(config, len(channels))
    for norm in [part for part in reference.modules() if isinstance(part, nn.BatchNorm2d | nn.LayerNorm)]:
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_(std=0.2)
    fit_norms(reference, lambda: reference(project(neck, backbone.random(160, 224, 1))))
    converted = convert(reference.state_dict(), config.block == "rep_elan")
    missing, unexpected = neck.load_state_dict(converted, strict=False)
    assert not unexpected
    assert {key.partition(".")[0] for key in missing} == {"input_proj"}
    for size in ((128, 128), (96, 160), (160, 64)):
        expected = reference(project(neck, backbone.random(*size))).last_hidden_state
        for output, target in zip(neck(torch.zeros(0)), expected, strict=True):
            assert float(target.std()) > 0.05
            assert_close(output, target, atol=1e-4, rtol=1e-4)


def project(neck: nn.Module, maps: tuple[Tensor, ...]) -> list[Tensor]:
    """Maps after the neck's first convolutions, which are not part of the reference."""
    return [layer(map_) for layer, map_ in zip(neck.input_proj, maps, strict=True)]
