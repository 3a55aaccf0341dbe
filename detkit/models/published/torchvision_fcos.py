"""Conversion of torchvision's FCOS file."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from detkit.models import presets
from detkit.models.published.load import Publication
from detkit.models.published.torchvision import PYRAMID, Renaming, drop_background, rename_tensors, renumber, torchvision_publication

_NAMES: tuple[Renaming, ...] = (
    *PYRAMID,
    (r"head\.classification_head\.conv\.(\d+)\.(.*)", renumber("head.dense.tower", 3)),
    (r"head\.classification_head\.cls_logits\.(.*)", r"head.dense.logits.\1"),
    (r"head\.regression_head\.conv\.(\d+)\.(.*)", renumber("head.dense.box_tower", 3)),
    (r"head\.regression_head\.bbox_reg\.(.*)", r"head.dense.deltas.\1"),
    (r"head\.regression_head\.bbox_ctrness\.(.*)", r"head.dense.quality.\1"),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of torchvision's ``FCOS``, and remove the unused class 0."""
    renamed = rename_tensors(tensors, _NAMES)
    return {name: drop_background(rows, 1) if ".dense.logits." in name else rows for name, rows in renamed.items()}


def resnet50_fpn() -> Publication:
    """Return the publication of ``fcos_resnet50_fpn``."""
    return torchvision_publication(presets.fcos_resnet50_fpn(), convert, norm="frozen", frozen_stages=2)
