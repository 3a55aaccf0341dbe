"""Backbones that timm supplies, under timm's names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import timm
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.recipe import Recipe, center, steps
from detkit.backbones.registry import BACKBONE_INFO, catalog_factories


def make(name: str, **options: Any) -> Backbone:
    """Build the backbone of this name; see :class:`detkit.backbones.BackboneConfig` for the options."""
    family, body = BACKBONE_INFO[name].family, network(name)
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None
    if family == "CLIP ResNet":
        # Backbone.stages is a method.
        body.add_module("trunk", body.get_submodule("stages"))
        del body.stages
        rename = _trunk_names
    return SequentialBackbone.from_recipe(body, BACKBONE_INFO[name], _RECIPES[family], rename=rename, **options)


def _trunk_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {re.sub(r"^stages\.", "trunk.", name): tensor for name, tensor in tensors.items()}


def network(name: str) -> nn.Module:
    """Return timm's network with random weights."""
    created: nn.Module = timm.create_model(name)
    return created


_RECIPES: dict[str, Recipe] = {
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


__getattr__ = catalog_factories(__name__, make)
