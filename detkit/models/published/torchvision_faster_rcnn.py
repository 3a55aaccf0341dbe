"""Conversion of torchvision's Faster R-CNN files, old and new."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from detkit.models import presets
from detkit.models.published.conversion import Renaming, rename_tensors
from detkit.models.published.torchvision import PYRAMID, torchvision_publication

# The RPN's convolution was separate before torchvision 0.13 (`conv.weight`); since then it is the first part of a block
# (`conv.0.0.weight`).
_NAMES: tuple[Renaming, ...] = (
    *PYRAMID,
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
    """Rename the tensors of a state dict of torchvision's ``FasterRCNN``, and move background from class 0 to class K.

    The box that torchvision's last layer predicts for background is never used, and is dropped. An unknown name is unchanged.
    """
    converted = rename_tensors(tensors, _NAMES)
    for name, tensor in converted.items():
        if name.startswith("region.predictor.logits."):
            converted[name] = torch.roll(tensor, -1, 0)
        elif name.startswith("region.predictor.deltas."):
            converted[name] = tensor[4:].clone()
    return converted


# Torchvision's loader sets the eps of the norms to 0 for the first file.
resnet50_fpn = partial(torchvision_publication, presets.fasterrcnn_resnet50_fpn, convert, norm="frozen", norm_eps=0.0, frozen_stages=2)
resnet50_fpn_v2 = partial(torchvision_publication, presets.fasterrcnn_resnet50_fpn_v2, convert, frozen_stages=2)
mobilenet_v3_large_fpn = partial(torchvision_publication, presets.fasterrcnn_mobilenet_v3_large_fpn, convert, norm="frozen")
mobilenet_v3_large_320_fpn = partial(torchvision_publication, presets.fasterrcnn_mobilenet_v3_large_320_fpn, convert, norm="frozen")
