"""Backbones that timm supplies, under timm's names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import timm
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, ChainBackbone
from detkit.backbones.chain_parts import Recipe, center, steps
from detkit.backbones.facts import FACTS


def __getattr__(name: str) -> Callable[..., Backbone]:
    """The maker of every backbone whose facts say that timm supplies it.

    Raises:
        AttributeError: timm does not supply it.
    """
    if name not in FACTS or FACTS[name].source != "timm":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(make, name)


def make(name: str, **choices: Any) -> Backbone:
    """The backbone of this name; see :class:`detkit.backbones.BackboneConfig` for the choices."""
    family, body = FACTS[name].family, network(name)
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None
    if family == "EfficientNet-Lite":
        rename = partial(lite_names, depths=_LITE_DEPTHS[name])
    elif family == "CLIP ResNet":
        # A backbone's stages are something else.
        body.add_module("trunk", body.get_submodule("stages"))
        del body.stages
        rename = _trunk_names
    return ChainBackbone.of(body, FACTS[name], _RECIPES[family], rename=rename, **choices)


def _trunk_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {re.sub(r"^stages\.", "trunk.", name): tensor for name, tensor in tensors.items()}


def network(name: str) -> nn.Module:
    """The library's own network, with random numbers."""
    # Eps and momentum are the publisher's (efficientnet_lite_builder.py: 1e-3, and 0.99, which torch calls 0.01).
    norms: dict[str, Any] = {"bn_eps": 1e-3, "bn_momentum": 0.01} if name.startswith("efficientnet_lite") else {}
    made: nn.Module = timm.create_model(name, **norms)
    return made


_RECIPES: dict[str, Recipe] = {
    # TensorFlow pads its strided convolutions on one side only, which puts cells half a pixel off or more; here padding is
    # symmetric, so that cells are centered as everywhere else. The published weights classify as well with it.
    "EfficientNet-Lite": Recipe(
        (("conv_stem", "bn1", "blocks.0"), ("blocks.1",), ("blocks.2",), ("blocks.3", "blocks.4"), ("blocks.5", "blocks.6")),
        {"c1": "blocks.0", "c2": "blocks.1", "c3": "blocks.2", "c4": "blocks.4", "c5": "blocks.6"},
    ),
    "Inception v4": Recipe(
        tuple(steps("features", low, high) for low, high in ((0, 3), (3, 5), (5, 10), (10, 18), (18, 22))),
        {f"c{level}": f"features.{place}" for level, place in enumerate((2, 4, 9, 17, 21), 1)},
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
        (("stem.conv1", "stem.conv2", "stem.conv3", "stem.pool"), *((f"trunk.{place}",) for place in range(4))),
        {"c1": "stem.conv3", **{f"c{place + 2}": f"trunk.{place}" for place in range(4)}},
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
    """The tensors of ``efficientnet_lite_pytorch`` under timm's names; a file that has timm's names passes as it is.

    Args:
        tensors: Of the file.
        depths: Blocks in each of the seven groups, which timm numbers apart and the other package in one row.
    """
    places = [f"{group}.{block}" for group, depth in enumerate(depths) for block in range(depth)]
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        parts = name.split(".")
        if parts[0] == "_blocks":
            inside = (_FIRST_BLOCK if parts[1] == "0" else _BLOCK).get(parts[2], parts[2])
            parts = ["blocks", places[int(parts[1])], inside, *parts[3:]]
        else:
            parts[0] = _OUTSIDE.get(parts[0], parts[0])
        renamed[".".join(parts)] = tensor
    return renamed
