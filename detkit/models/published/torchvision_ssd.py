"""Conversion of torchvision's SSD300 and SSDLite320 files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from detkit.models import presets
from detkit.models.published.conversion import Renaming, rename_tensors
from detkit.models.published.torchvision import torchvision_publication

_FIRST_OF_STAGE_5 = 23
"""Index of VGG's fourth pooling layer, where torchvision restarts the numbering."""


def _stage_5(match: re.Match[str]) -> str:
    return f"neck.backbone.features.{_FIRST_OF_STAGE_5 + int(match[1])}.{match[2]}"


def _after_expansion(match: re.Match[str]) -> str:
    return f"neck.backbone.features.{13 + int(match[1])}.{match[2]}"


def _extra(match: re.Match[str]) -> str:
    return f"neck.extras.{int(match[1]) - 1}.{match[2]}"


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
# Torchvision splits the backbone within its 14th block, after that block's expansion.
_SSDLITE: tuple[Renaming, ...] = (
    *_HEAD,
    (r"backbone\.features\.0\.13\.(.*)", r"neck.backbone.features.13.block.0.\1"),
    (r"backbone\.features\.0\.(.*)", r"neck.backbone.features.\1"),
    (r"backbone\.features\.1\.0\.(.*)", r"neck.backbone.features.13.block.\1"),
    (r"backbone\.features\.1\.(\d)\.(.*)", _after_expansion),
    (r"backbone\.extra\.(.*)", r"neck.extras.\1"),
)


def convert_ssd(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of torchvision's ``ssd300_vgg16``, and move background from class 0 to class K."""
    return _background_last(rename_tensors(tensors, _SSD), "bias")


def convert_ssdlite(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of torchvision's ``ssdlite320_mobilenet_v3_large``, and move background from class 0 to class K."""
    return _background_last(rename_tensors(tensors, _SSDLITE), "1.bias")


def _background_last(tensors: dict[str, Tensor], bias: str) -> dict[str, Tensor]:
    """Move background to the end; the layers are laid out by anchor, and the box layers determine the number of anchors."""
    converted = dict(tensors)
    for name, tensor in tensors.items():
        match = re.fullmatch(r"head\.logits\.(\d+)\.(1\.)?(weight|bias)", name)
        deltas = tensors.get(f"head.deltas.{match[1]}.{bias}") if match else None
        if deltas is not None:
            converted[name] = torch.roll(tensor.reshape(len(deltas) // 4, -1, *tensor.shape[1:]), -1, 1).flatten(0, 1)
    return converted


ssd300_vgg16 = partial(torchvision_publication, presets.ssd300_vgg16, convert_ssd)
ssdlite320_mobilenet_v3_large = partial(torchvision_publication, presets.ssdlite320_mobilenet_v3_large, convert_ssdlite)
