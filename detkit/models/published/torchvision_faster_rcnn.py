"""Torchvision's Faster R-CNNs: their files, old and new, under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from detkit.models import presets
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.published.coco import COCO_SLOTS
from detkit.models.published.load import Publication

# Convolutions of the FPN and the RPN stood alone before torchvision 0.13 (`inner_blocks.0.weight`, `conv.weight`); since then each is the
# first part of a block (`inner_blocks.0.0.weight`, `conv.0.0.weight`). Files of both kinds are published.
_NAMES = (
    (r"backbone\.body\.(\d+\..*)", r"neck.backbone.features.\1"),
    (r"backbone\.body\.(.*)", r"neck.backbone.\1"),
    (r"backbone\.fpn\.((?:inner|layer)_blocks\.\d+)\.(weight|bias)", r"neck.\1.0.\2"),
    (r"backbone\.fpn\.(.*)", r"neck.\1"),
    (r"rpn\.head\.conv\.(weight|bias)", r"rpn.head.tower.0.0.\1"),
    (r"rpn\.head\.conv\.(.*)", r"rpn.head.tower.\1"),
    (r"rpn\.head\.cls_logits\.(.*)", r"rpn.head.logits.\1"),
    (r"rpn\.head\.bbox_pred\.(.*)", r"rpn.head.deltas.\1"),
    (r"roi_heads\.box_head\.(fc[67]\..*)", r"region.head.\1"),
    (r"roi_heads\.box_head\.([0-3]\..*)", r"region.head.convs.\1"),
    (r"roi_heads\.box_head\.5\.(.*)", r"region.head.fc.\1"),
    (r"roi_heads\.box_predictor\.cls_score\.(.*)", r"region.predictor.logits.\1"),
    (r"roi_heads\.box_predictor\.bbox_pred\.(.*)", r"region.predictor.deltas.\1"),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of torchvision's ``FasterRCNN`` under our names, with background moved from class 0 to class K.

    The box that torchvision's last layer gives background is never used, and dropped. A name that is not known stays as it is.
    """
    converted = {_our_name(name): tensor for name, tensor in tensors.items()}
    for name, tensor in converted.items():
        if name.startswith("region.predictor.logits."):
            converted[name] = torch.roll(tensor, -1, 0)
        elif name.startswith("region.predictor.deltas."):
            converted[name] = tensor[4:].clone()
    return converted


def _our_name(name: str) -> str:
    for pattern, ours in _NAMES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    return name


def _as_published(preset: FasterRCNNConfig, **backbone: object) -> Publication:
    """The file fills the backbone too, so nothing else does; what is frozen stays frozen when training goes on."""
    config = preset.replace(backbone=preset.backbone.replace(weights=None, **backbone))
    return Publication(config, COCO_SLOTS, convert)


def resnet50_fpn() -> Publication:
    """``fasterrcnn_resnet50_fpn``: norms without eps, since torchvision's loader sets it to 0 for this file."""
    return _as_published(presets.fasterrcnn_resnet50_fpn(), norm="frozen", norm_eps=0.0, frozen_stages=2)


def resnet50_fpn_v2() -> Publication:
    """``fasterrcnn_resnet50_fpn_v2``."""
    return _as_published(presets.fasterrcnn_resnet50_fpn_v2(), frozen_stages=2)


def mobilenet_v3_large_fpn() -> Publication:
    """``fasterrcnn_mobilenet_v3_large_fpn``."""
    return _as_published(presets.fasterrcnn_mobilenet_v3_large_fpn(), norm="frozen")


def mobilenet_v3_large_320_fpn() -> Publication:
    """``fasterrcnn_mobilenet_v3_large_320_fpn``."""
    return _as_published(presets.fasterrcnn_mobilenet_v3_large_320_fpn(), norm="frozen")
