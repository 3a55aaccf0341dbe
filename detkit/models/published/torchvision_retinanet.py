"""Torchvision's RetinaNets: their files, old and new, under our names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from detkit.models import presets
from detkit.models.published.load import Publication
from detkit.models.published.torchvision import PYRAMID, Renaming, as_published, numbered, renamed, without_background

# In the first file the towers' convolutions alternate with activations (`conv.0`, `conv.2`); in the second each is the first part of
# a block (`conv.0.0`, `conv.1.0`).
_NAMES: tuple[Renaming, ...] = (
    *PYRAMID,
    (r"head\.classification_head\.conv\.(\d)\.(weight|bias)", numbered("head.dense.tower", 2)),
    (r"head\.classification_head\.conv\.(.*)", r"head.dense.tower.\1"),
    (r"head\.classification_head\.cls_logits\.(.*)", r"head.dense.logits.\1"),
    (r"head\.regression_head\.conv\.(\d)\.(weight|bias)", numbered("head.dense.box_tower", 2)),
    (r"head\.regression_head\.conv\.(.*)", r"head.dense.box_tower.\1"),
    (r"head\.regression_head\.bbox_reg\.(.*)", r"head.dense.deltas.\1"),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of torchvision's ``RetinaNet`` under our names, without the class 0 that nothing has."""
    found = renamed(tensors, _NAMES)
    deltas = found.get("head.dense.deltas.bias")
    if deltas is None:
        return found
    return {name: without_background(rows, len(deltas) // 4) if ".dense.logits." in name else rows for name, rows in found.items()}


def resnet50_fpn() -> Publication:
    """``retinanet_resnet50_fpn``: norms without eps, since torchvision's loader sets it to 0 for this file."""
    return as_published(presets.retinanet_resnet50_fpn(), convert, norm="frozen", norm_eps=0.0, frozen_stages=2)


def resnet50_fpn_v2() -> Publication:
    """``retinanet_resnet50_fpn_v2``."""
    return as_published(presets.retinanet_resnet50_fpn_v2(), convert, frozen_stages=2)
