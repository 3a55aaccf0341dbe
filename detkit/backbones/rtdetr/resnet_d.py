"""ResNet-D of timm, and ResNet-vd of RT-DETR, which differs in the first block of the two shallow networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import timm
from torch import Tensor, nn
from torchvision.models import resnet

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.recipe import Recipe, center
from detkit.backbones.registry import BACKBONE_INFO, catalog_factories

_SHORTCUT = "vd"
"""Suffix of networks whose first block has a convolution as its shortcut."""
_RECIPE = Recipe(
    (("conv1", "maxpool"), ("layer1",), ("layer2",), ("layer3",), ("layer4",)),
    {"c1": "conv1", "c2": "layer1", "c3": "layer2", "c4": "layer3", "c5": "layer4"},
    center,
)


def make(name: str, **options: Any) -> Backbone:
    """Build the backbone of this name; see :class:`detkit.backbones.BackboneConfig` for the options."""
    body = network(name)
    _join_stem(body)
    _use_torchvision_blocks(body)
    return SequentialBackbone.from_recipe(body, BACKBONE_INFO[name], _RECIPE, rename=rename, **options)


def network(name: str) -> nn.Module:
    """Return timm's network with random weights; names that end in ``vd`` have RT-DETR's shortcut in the first block.

    RT-DETR's ``presnet.py`` gives every stage's first block a convolution, also where neither size nor channels change, which in timm's
    networks concerns the first stage of ResNet-18 and 34 only.
    """
    created: nn.Module = timm.create_model(name.replace(_SHORTCUT, "d"))
    if name.endswith(_SHORTCUT):
        first, channels = cast("Any", created.get_submodule("layer1.0")), 64
        conv = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        first.downsample = nn.Sequential(nn.Identity(), conv, nn.BatchNorm2d(channels))
    return created


def _join_stem(body: nn.Module) -> None:
    """Append the norm and the activation that follow the stem's convolutions to them, in place, so that the norm can be folded."""
    stem = body.get_submodule("conv1")
    for name in ("bn1", "act1"):
        stem.add_module(str(len(list(stem.children()))), body.get_submodule(name))
        delattr(body, name)


def _use_torchvision_blocks(body: nn.Module) -> None:
    """Replace timm's residual blocks, in place, by torchvision's with the same parts and names, which are fused for detection."""
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        stage = body.get_submodule(layer)
        for index, block in list(stage.named_children()):
            deep = hasattr(block, "conv3")
            created: Any = resnet.Bottleneck(4, 1) if deep else resnet.BasicBlock(1, 1)
            for number in range(1, 4 if deep else 3):
                for part in (f"conv{number}", f"bn{number}"):
                    created.add_module(part, block.get_submodule(part))
            created.downsample = block.downsample
            stage.add_module(index, created)


_NAMES = (
    (r"^bn1\.", "conv1.7."),  # timm
    (r"^conv1\.conv1_([123])\.(conv|norm)\.", lambda match: _stem_name(int(match[1]) - 1, match[2])),  # RT-DETR's repository
    (r"^res_layers\.(\d)\.blocks\.(\d+)\.", lambda match: f"layer{int(match[1]) + 1}.{match[2]}."),
    (r"\.branch2([abc])\.(conv|norm)\.", lambda match: f".{_part(match[2])}{'abc'.index(match[1]) + 1}."),
    (r"\.short\.(?:conv\.(?=conv|norm))?(conv|norm)\.", lambda match: f".downsample.{1 if match[1] == 'conv' else 2}."),
    (r"^embedder\.embedder\.([012])\.(convolution|normalization)\.", lambda match: _stem_name(int(match[1]), match[2])),  # transformers
    (r"^encoder\.stages\.(\d)\.layers\.(\d+)\.", lambda match: f"layer{int(match[1]) + 1}.{match[2]}."),
    (r"\.layer\.([012])\.(convolution|normalization)\.", lambda match: f".{_part(match[2])}{int(match[1]) + 1}."),
    (r"\.shortcut\.(?:1\.)?(conv|norm)\w+\.", lambda match: f".downsample.{1 if match[1] == 'conv' else 2}."),
)


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under this module's names, from those of timm, of RT-DETR's repository (``presnet.py``) or of ``transformers``."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in _NAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def _stem_name(index: int, part: str) -> str:
    return f"conv1.{3 * index + (0 if part.startswith('conv') else 1)}."


def _part(part: str) -> str:
    return "conv" if part.startswith("conv") else "bn"


__getattr__ = catalog_factories(__name__, make)
