"""Torchvision's FCOS: its file under our names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from detkit.models import presets
from detkit.models.published.load import Publication
from detkit.models.published.torchvision import PYRAMID, Renaming, as_published, numbered, renamed, without_background

_NAMES: tuple[Renaming, ...] = (
    *PYRAMID,
    (r"head\.classification_head\.conv\.(\d+)\.(.*)", numbered("head.dense.tower", 3)),
    (r"head\.classification_head\.cls_logits\.(.*)", r"head.dense.logits.\1"),
    (r"head\.regression_head\.conv\.(\d+)\.(.*)", numbered("head.dense.box_tower", 3)),
    (r"head\.regression_head\.bbox_reg\.(.*)", r"head.dense.deltas.\1"),
    (r"head\.regression_head\.bbox_ctrness\.(.*)", r"head.dense.quality.\1"),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of torchvision's ``FCOS`` under our names, without the class 0 that nothing has."""
    found = renamed(tensors, _NAMES)
    return {name: without_background(rows, 1) if ".dense.logits." in name else rows for name, rows in found.items()}


def resnet50_fpn() -> Publication:
    """``fcos_resnet50_fpn``."""
    return as_published(presets.fcos_resnet50_fpn(), convert, norm="frozen", frozen_stages=2)
