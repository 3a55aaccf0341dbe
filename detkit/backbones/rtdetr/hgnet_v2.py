"""HGNetV2 of timm, with the names of D-FINE's repository and of ``transformers``."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import timm
from timm.models.hgnet import ConvBNAct
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.recipe import Recipe
from detkit.backbones.registry import BACKBONE_INFO

# The stem is one step, because it joins two branches; timm's padding already gives ceil(size / stride) cells.
_RECIPE = Recipe(
    (("stem",), *((f"trunk.{index}",) for index in range(4))),
    {f"c{index + 2}": f"trunk.{index}" for index in range(4)},
)


def __getattr__(name: str) -> Callable[..., Backbone]:
    """Return the factory of a backbone of this module.

    Raises:
        AttributeError: If the catalog has no such backbone here.
    """
    if name not in BACKBONE_INFO or not BACKBONE_INFO[name].factory.startswith(f"{__name__}:"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(make, name)


def make(name: str, **options: Any) -> Backbone:
    """Build the backbone of this name; see :class:`detkit.backbones.BackboneConfig` for the options."""
    body = network(name)
    _use_sequences(body)
    # Backbone.stages is a method.
    body.add_module("trunk", body.get_submodule("stages"))
    del body.stages
    return SequentialBackbone.from_recipe(body, BACKBONE_INFO[name], _RECIPE, rename=rename, **options)


def network(name: str) -> nn.Module:
    """Return timm's network with random weights."""
    created: nn.Module = timm.create_model(name)
    return created


def _use_sequences(module: nn.Module) -> None:
    """Replace every convolution block of timm, in place, by a sequence of its parts under their names, which are fused for detection."""
    for name, child in list(module.named_children()):
        if isinstance(child, ConvBNAct):
            module.add_module(name, nn.Sequential(OrderedDict(child.named_children())))
        else:
            _use_sequences(child)


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
