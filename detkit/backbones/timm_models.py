"""Backbones that timm supplies, under timm's names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import timm
from torch import Tensor

from detkit.backbones.backbone import Backbone, ChainBackbone
from detkit.backbones.facts import FACTS

_LITE_STAGES = (("conv_stem", "bn1", "blocks.0"), ("blocks.1",), ("blocks.2",), ("blocks.3", "blocks.4"), ("blocks.5", "blocks.6"))
_LITE_TAPS = {"c1": "blocks.0", "c2": "blocks.1", "c3": "blocks.2", "c4": "blocks.4", "c5": "blocks.6"}
_LITE_DEPTHS = {"efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1)}


def efficientnet_lite0(**choices: Any) -> Backbone:
    """EfficientNet-Lite0 (Google, 2020): B0 without squeeze-and-excite, with ReLU6.

    TensorFlow pads its strided convolutions on one side only, which puts cells half a pixel off or more; here padding is
    symmetric, so that cells are centred as everywhere else. The published weights classify as well with it.
    """
    return _efficientnet_lite("efficientnet_lite0", **choices)


def _efficientnet_lite(name: str, **choices: Any) -> Backbone:
    # Eps and momentum are the publisher's (efficientnet_lite_builder.py: 1e-3, and 0.99, which torch calls 0.01).
    body = timm.create_model(name, bn_eps=1e-3, bn_momentum=0.01)
    rename = partial(lite_names, depths=_LITE_DEPTHS[name])
    return ChainBackbone(body, FACTS[name], stages=_LITE_STAGES, taps=_LITE_TAPS, rename=rename, **choices)


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
