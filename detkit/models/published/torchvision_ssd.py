"""Torchvision's SSD300 and SSDLite320: their files under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from detkit.models import presets_ssd
from detkit.models.published.load import Publication
from detkit.models.published.torchvision import Renaming, as_published, renamed

_FIRST_OF_STAGE_5 = 23
"""VGG's fourth pooling, from which torchvision counts anew."""


def _stage_5(found: re.Match[str]) -> str:
    return f"neck.backbone.features.{_FIRST_OF_STAGE_5 + int(found[1])}.{found[2]}"


def _behind_expansion(found: re.Match[str]) -> str:
    return f"neck.backbone.features.{13 + int(found[1])}.{found[2]}"


def _extra(found: re.Match[str]) -> str:
    return f"neck.extras.{int(found[1]) - 1}.{found[2]}"


_HEAD: tuple[Renaming, ...] = (
    (r"head\.classification_head\.module_list\.(.*)", r"head.logits.\1"),
    (r"head\.regression_head\.module_list\.(.*)", r"head.deltas.\1"),
)
_SSD: tuple[Renaming, ...] = (
    *_HEAD,
    (r"backbone\.scale_weight", "neck.rescale.weight"),
    (r"backbone\.features\.(.*)", r"neck.backbone.features.\1"),
    (r"backbone\.extra\.0\.7\.(.*)", r"neck.atrous.\1"),
    (r"backbone\.extra\.0\.([0-6])\.(.*)", _stage_5),
    (r"backbone\.extra\.([1-9])\.(.*)", _extra),
)
# Torchvision cuts the backbone in two within its 14th block, behind that block's expansion.
_SSDLITE: tuple[Renaming, ...] = (
    *_HEAD,
    (r"backbone\.features\.0\.13\.(.*)", r"neck.backbone.features.13.block.0.\1"),
    (r"backbone\.features\.0\.(.*)", r"neck.backbone.features.\1"),
    (r"backbone\.features\.1\.0\.(.*)", r"neck.backbone.features.13.block.\1"),
    (r"backbone\.features\.1\.(\d)\.(.*)", _behind_expansion),
    (r"backbone\.extra\.(.*)", r"neck.extras.\1"),
)


def convert_ssd(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of torchvision's ``ssd300_vgg16`` under our names, with background moved from class 0 to class K."""
    return _background_last(renamed(tensors, _SSD), "bias")


def convert_ssdlite(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of torchvision's ``ssdlite320_mobilenet_v3_large`` under our names, with background moved from class 0 to class K."""
    return _background_last(renamed(tensors, _SSDLITE), "1.bias")


def _background_last(tensors: dict[str, Tensor], bias: str) -> dict[str, Tensor]:
    """The last layers are laid out anchor by anchor; of those of the boxes we know how many anchors there are."""
    converted = dict(tensors)
    for name, tensor in tensors.items():
        found = re.fullmatch(r"head\.logits\.(\d+)\.(1\.)?(weight|bias)", name)
        deltas = tensors.get(f"head.deltas.{found[1]}.{bias}") if found else None
        if deltas is not None:
            converted[name] = torch.roll(tensor.reshape(len(deltas) // 4, -1, *tensor.shape[1:]), -1, 1).flatten(0, 1)
    return converted


def ssd300_vgg16() -> Publication:
    """``ssd300_vgg16``."""
    return as_published(presets_ssd.ssd300_vgg16(), convert_ssd)


def ssdlite320_mobilenet_v3_large() -> Publication:
    """``ssdlite320_mobilenet_v3_large``."""
    return as_published(presets_ssd.ssdlite320_mobilenet_v3_large(), convert_ssdlite)
