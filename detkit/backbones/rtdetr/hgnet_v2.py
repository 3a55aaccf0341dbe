"""HGNetV2 of timm, and the smaller ones of DEIMv2, with the names of D-FINE's repository and of ``transformers``."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.models.hgnet import ConvBNAct, HighPerfGpuStage, LearnableAffineBlock, StemV2
from torch import Tensor, nn
from torch.nn import functional

from detkit.accelerate.fold import conv_like
from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.recipe import Recipe
from detkit.backbones.registry import BACKBONE_INFO, catalog_factories

_STEM = 16
"""Channels of the stem of HGNetV2-B0, of which DEIMv2's networks have the first stages."""
_THIRD_STAGES: Mapping[str, tuple[int, int, int]] = {
    "hgnetv2_atto": (256, 1, 3),
    "hgnetv2_femto": (512, 1, 5),
    "hgnetv2_pico": (512, 2, 5),
}
"""Channels, blocks and kernel size of the third and last stage of DEIMv2's networks (``hgnetv2.py`` of its repository)."""


def make(name: str, **options: Any) -> Backbone:
    """Build the backbone of this name; see :class:`detkit.backbones.BackboneConfig` for the options."""
    body = network(name)
    _use_own_blocks(body)
    # Backbone.stages is a method.
    trunk = body.get_submodule("stages")
    body.add_module("trunk", trunk)
    del body.stages
    return SequentialBackbone.from_recipe(body, BACKBONE_INFO[name], _recipe(len(list(trunk.children()))), rename=rename, **options)


def network(name: str) -> nn.Module:
    """Return the network with random weights."""
    if name in _THIRD_STAGES:
        return _small_network(*_THIRD_STAGES[name])
    created: nn.Module = timm.create_model(name)
    return created


def _small_network(channels: int, blocks: int, kernel: int) -> nn.Module:
    """Return the stem and three stages, the last one of these sizes; it differs from HGNetV2-B0 only there and has no classifier."""
    stem = StemV2(in_chs=3, mid_chs=_STEM, out_chs=_STEM, use_lab=True)
    first = HighPerfGpuStage(_STEM, 16, 64, 1, 3, downsample=False, use_lab=True, agg="se")
    second = HighPerfGpuStage(64, 32, 256, 1, 3, use_lab=True, agg="se")
    third = HighPerfGpuStage(256, 64, channels, blocks, 3, light_block=True, kernel_size=kernel, use_lab=True, agg="se")
    body = nn.Sequential(OrderedDict(stem=stem, stages=nn.Sequential(first, second, third)))
    for part in body.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")  # as timm does
    return body


def _recipe(stages: int) -> Recipe:
    """Return the recipe of a network with this number of stages.

    The stem is one step, because it joins two branches; timm's padding already gives ``ceil(size / stride)`` cells.
    """
    names = [f"trunk.{index}" for index in range(stages)]
    return Recipe((("stem",), *((name,) for name in names)), {f"c{index}": name for index, name in enumerate(names, 2)})


class ConvBlock(nn.Sequential):
    """The parts of timm's convolution block in a sequence: ``conv``, ``bn``, ``act`` and ``lab``, the latter ``scale * x + bias``."""

    @torch.no_grad()
    def merge_branches(self) -> nn.Module:
        """Return an equal convolution and clamp for ``scale > 0``, once the norm is folded; otherwise the block itself.

        ``scale * relu(x) + bias`` is ``max(scale * x + bias, bias)``.
        """
        conv, norm, activation, affine = self.children()
        folded = isinstance(norm, nn.Identity) and isinstance(activation, nn.ReLU) and isinstance(affine, LearnableAffineBlock)
        if not (folded and isinstance(conv, nn.Conv2d) and conv.bias is not None):
            return self
        scale, shift = (float(affine.get_parameter(name)) for name in ("scale", "bias"))
        if scale <= 0:
            return self
        merged = conv_like(nn.Conv2d, conv)
        merged.weight = nn.Parameter(conv.weight * scale, requires_grad=False)
        merged.bias = nn.Parameter(conv.bias * scale + shift, requires_grad=False)
        return nn.Sequential(OrderedDict(conv=merged, act=nn.Hardtanh(shift, torch.finfo(torch.float32).max))).eval()


class FastPool(nn.Module):
    """Maximum of 2x2 cells with a stride of 1; without gradients by comparing shifted maps, which is faster than torch's pooling."""

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C, H - 1, W - 1)``."""
        if torch.is_grad_enabled():
            return functional.max_pool2d(x, 2, 1)
        rows = torch.maximum(x[..., :-1, :], x[..., 1:, :])
        return torch.maximum(rows[..., :-1], rows[..., 1:])


def _use_own_blocks(body: nn.Module) -> None:
    """Replace timm's convolution blocks and the pooling of its stem, in place, by modules of the same names that are fast in detection."""
    for name, child in list(body.named_modules()):
        if isinstance(child, ConvBNAct):
            body.set_submodule(name, ConvBlock(OrderedDict(child.named_children())))
    body.get_submodule("stem").add_module("pool", FastPool())


_NAMES = (
    (r"^embedder\.", "stem."),  # transformers
    (r"^encoder\.stages\.", "trunk."),
    (r"\.convolution\.", ".conv."),
    (r"\.normalization\.", ".bn."),
    (r"^stages\.", "trunk."),  # timm, and D-FINE's repository (hgnetv2.py)
)


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under this module's names, from those of timm, of D-FINE's repository (``hgnetv2.py``) or of ``transformers``."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in _NAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


__getattr__ = catalog_factories(__name__, make)
