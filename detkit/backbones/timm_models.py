"""Backbones that timm supplies, under timm's names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import timm
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.info import BACKBONE_INFO
from detkit.backbones.recipe import Recipe, center, steps


def __getattr__(name: str) -> Callable[..., Backbone]:
    """Return the factory of a backbone that timm supplies according to the catalog.

    Raises:
        AttributeError: If timm does not supply it.
    """
    if name not in BACKBONE_INFO or BACKBONE_INFO[name].source != "timm":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(make, name)


def make(name: str, **options: Any) -> Backbone:
    """Build the backbone of this name; see :class:`detkit.backbones.BackboneConfig` for the options."""
    family, body = BACKBONE_INFO[name].family, network(name)
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None
    if family == "EfficientNet-Lite":
        rename = partial(lite_names, depths=_LITE_DEPTHS[name])
    elif family == "CLIP ResNet":
        # Backbone.stages is a method.
        body.add_module("trunk", body.get_submodule("stages"))
        del body.stages
        rename = _trunk_names
    return SequentialBackbone.from_recipe(body, BACKBONE_INFO[name], _RECIPES[family], rename=rename, **options)


def _trunk_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {re.sub(r"^stages\.", "trunk.", name): tensor for name, tensor in tensors.items()}


def network(name: str) -> nn.Module:
    """Return timm's network with random weights."""
    # Eps and momentum are the publisher's (efficientnet_lite_builder.py: 1e-3, and 0.99, which torch calls 0.01).
    norms: dict[str, Any] = {"bn_eps": 1e-3, "bn_momentum": 0.01} if name.startswith("efficientnet_lite") else {}
    created: nn.Module = timm.create_model(name, **norms)
    return created


_RECIPES: dict[str, Recipe] = {
    # TensorFlow pads strided convolutions on one side only, which moves cells by half a pixel or more. Here padding is symmetric, so
    # that cells are centered as in the other backbones. The published weights classify equally well with it.
    "EfficientNet-Lite": Recipe(
        (("conv_stem", "bn1", "blocks.0"), ("blocks.1",), ("blocks.2",), ("blocks.3", "blocks.4"), ("blocks.5", "blocks.6")),
        {"c1": "blocks.0", "c2": "blocks.1", "c3": "blocks.2", "c4": "blocks.4", "c5": "blocks.6"},
    ),
    "Inception v4": Recipe(
        tuple(steps("features", low, high) for low, high in ((0, 3), (3, 5), (5, 10), (10, 18), (18, 22))),
        {f"c{level}": f"features.{index}" for level, index in enumerate((2, 4, 9, 17, 21), 1)},
        center,
    ),
    "Inception-ResNet v2": Recipe(
        (
            ("conv2d_1a", "conv2d_2a", "conv2d_2b"),
            ("maxpool_3a", "conv2d_3b", "conv2d_4a"),
            ("maxpool_5a", "mixed_5b", "repeat"),
            ("mixed_6a", "repeat_1"),
            ("mixed_7a", "repeat_2", "block8", "conv2d_7b"),
        ),
        {"c1": "conv2d_2b", "c2": "conv2d_4a", "c3": "repeat", "c4": "repeat_1", "c5": "conv2d_7b"},
        center,
    ),
    "SENet": Recipe(
        (("layer0", "pool0"), ("layer1",), ("layer2",), ("layer3",), ("layer4",)),
        {"c1": "layer0", "c2": "layer1", "c3": "layer2", "c4": "layer3", "c5": "layer4"},
        center,
    ),
    "CLIP ResNet": Recipe(
        (("stem.conv1", "stem.conv2", "stem.conv3", "stem.pool"), *((f"trunk.{index}",) for index in range(4))),
        {"c1": "stem.conv3", **{f"c{index + 2}": f"trunk.{index}" for index in range(4)}},
        center,
    ),
}

_LITE_DEPTHS = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_lite1": (1, 3, 3, 4, 4, 5, 1),
    "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
    "efficientnet_lite3": (1, 3, 3, 5, 5, 6, 1),
    "efficientnet_lite4": (1, 4, 4, 6, 6, 8, 1),
}

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
