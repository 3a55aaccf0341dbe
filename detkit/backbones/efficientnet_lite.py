"""EfficientNet-Lite with timm's tensor names, without the import of timm, which takes longer than the import of torch.

Source: efficientnet_lite_builder.py of the publisher (tensorflow/tpu). The layout of the modules is that of timm's ``efficientnet_lite0``
to ``efficientnet_lite4``, so that checkpoints of either load, and the same seed gives the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.recipe import Recipe
from detkit.backbones.registry import BACKBONE_INFO, catalog_factories

EPS, MOMENTUM = 1e-3, 0.01
"""Of the norms; the publisher's momentum is 0.99, which torch calls 0.01."""
SCALES = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
    "efficientnet_lite3": (1.2, 1.4),
    "efficientnet_lite4": (1.4, 1.8),
}
"""Factors on the channels and on the depth of the groups of blocks."""
GROUPS = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
"""Depth, kernel, stride, expansion and channels of each group of blocks, before scaling."""
STEM, FEATURES, CLASSES = 32, 1280, 1000

# TensorFlow pads strided convolutions on one side only, which moves cells by half a pixel or more. Here padding is symmetric, so that
# cells are centered as in the other backbones. The published weights classify equally well with it.
_RECIPE = Recipe(
    (("conv_stem", "bn1", "blocks.0"), ("blocks.1",), ("blocks.2",), ("blocks.3", "blocks.4"), ("blocks.5", "blocks.6")),
    {"c1": "blocks.0", "c2": "blocks.1", "c3": "blocks.2", "c4": "blocks.4", "c5": "blocks.6"},
)


def make(name: str, **options: Any) -> Backbone:
    """Build the backbone of this size; see :class:`detkit.backbones.BackboneConfig` for the options."""
    rename = partial(lite_names, depths=depths(name))
    return SequentialBackbone.from_recipe(network(name), BACKBONE_INFO[name], _RECIPE, rename=rename, **options)


def depths(name: str) -> tuple[int, ...]:
    """Return the number of blocks in each group; the first and the last group are not scaled."""
    factor = SCALES[name][1]
    last = len(GROUPS) - 1
    return tuple(depth if index in {0, last} else math.ceil(depth * factor) for index, (depth, *_) in enumerate(GROUPS))


class NormAct(nn.BatchNorm2d):
    """Batch norm and activation in one module, as timm has them; ``act`` is an identity where a block ends linearly."""

    def __init__(self, channels: int, activation: bool = True) -> None:
        super().__init__(channels, eps=EPS, momentum=MOMENTUM)
        self.act: nn.Module = nn.ReLU6(inplace=True) if activation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Normalize and activate ``(N, C, H, W)``."""
        out: Tensor = self.act(super().forward(x))
        return out


class SeparableBlock(nn.Module):
    """Depthwise and pointwise convolution, the block of the first group."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(in_channels, in_channels, kernel, stride, kernel // 2, groups=in_channels, bias=False)
        self.bn1 = NormAct(in_channels)
        self.conv_pw = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = NormAct(out_channels, activation=False)
        self.has_skip = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C', H / stride, W / stride)``."""
        out: Tensor = self.bn2(self.conv_pw(self.bn1(self.conv_dw(x))))
        return out + x if self.has_skip else out


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and linear projection (arXiv:1801.04381)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = _round_channels(in_channels * expansion)
        self.conv_pw = nn.Conv2d(in_channels, hidden, 1, bias=False)
        self.bn1 = NormAct(hidden)
        self.conv_dw = nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False)
        self.bn2 = NormAct(hidden)
        self.conv_pwl = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self.bn3 = NormAct(out_channels, activation=False)
        self.has_skip = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C', H / stride, W / stride)``."""
        out: Tensor = self.bn3(self.conv_pwl(self.bn2(self.conv_dw(self.bn1(self.conv_pw(x))))))
        return out + x if self.has_skip else out


class EfficientNetLite(nn.Module):
    """The whole classifier; a backbone keeps what its maps need."""

    def __init__(self, name: str) -> None:
        super().__init__()
        width = SCALES[name][0]
        self.conv_stem = nn.Conv2d(3, STEM, 3, 2, 1, bias=False)
        self.bn1 = NormAct(STEM)
        # timm's builder first tries out two such layers. Drawing their numbers too gives the same weights for the same seed.
        _ = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        groups, channels = [], STEM
        for (_, kernel, stride, expansion, base), depth in zip(GROUPS, depths(name), strict=True):
            out_channels = _round_channels(base * width)
            blocks: list[nn.Module] = []
            for index in range(depth):
                step = stride if index == 0 else 1
                plain = expansion == 1
                block = SeparableBlock if plain else partial(InvertedResidual, expansion=expansion)
                blocks.append(block(channels, out_channels, kernel, step))
                channels = out_channels
            groups.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*groups)
        self.conv_head = nn.Conv2d(channels, FEATURES, 1, bias=False)
        self.bn2 = NormAct(FEATURES)
        self.classifier = nn.Linear(FEATURES, CLASSES)
        _initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` images to ``(N, 1000)`` logits."""
        features: Tensor = self.bn2(self.conv_head(self.blocks(self.bn1(self.conv_stem(images)))))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits


def network(name: str) -> nn.Module:
    """Return the classifier of this size with random weights."""
    return EfficientNetLite(name)


def _round_channels(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of ``divisor``, but not down by more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _initialize(network: nn.Module) -> None:
    """Initialize as the publisher does: normal by the fan-out of each group of a convolution."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0, math.sqrt(2.0 / fan_out))
        elif isinstance(module, nn.Linear):
            limit = 1.0 / math.sqrt(module.out_features)
            nn.init.uniform_(module.weight, -limit, limit)
            nn.init.zeros_(module.bias)


_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def lite_names(tensors: Mapping[str, Tensor], depths: tuple[int, ...]) -> dict[str, Tensor]:
    """Rename the tensors of ``efficientnet_lite_pytorch`` to timm's names; tensors under timm's names are returned unchanged.

    Args:
        tensors: Of the file.
        depths: Blocks in each of the seven groups, which timm numbers separately and the other package consecutively.
    """
    timm_blocks = [f"{group}.{block}" for group, depth in enumerate(depths) for block in range(depth)]
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        parts = name.split(".")
        if parts[0] == "_blocks":
            inside = (_FIRST_BLOCK if parts[1] == "0" else _BLOCK).get(parts[2], parts[2])
            parts = ["blocks", timm_blocks[int(parts[1])], inside, *parts[3:]]
        else:
            parts[0] = _OUTSIDE.get(parts[0], parts[0])
        renamed[".".join(parts)] = tensor
    return renamed


__getattr__ = catalog_factories(__name__, make)
