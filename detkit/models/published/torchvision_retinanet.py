"""Conversion of torchvision's RetinaNet files, old and new."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from detkit.models import presets
from detkit.models.published.load import Publication
from detkit.models.published.torchvision import PYRAMID, Renaming, drop_background, rename_tensors, renumber, torchvision_publication

# In the first file the towers' convolutions alternate with activations (`conv.0`, `conv.2`); in the second each is the first part of
# a block (`conv.0.0`, `conv.1.0`).
_NAMES: tuple[Renaming, ...] = (
    *PYRAMID,
    (r"head\.classification_head\.conv\.(\d)\.(weight|bias)", renumber("head.dense.tower", 2)),
    (r"head\.classification_head\.conv\.(.*)", r"head.dense.tower.\1"),
    (r"head\.classification_head\.cls_logits\.(.*)", r"head.dense.logits.\1"),
    (r"head\.regression_head\.conv\.(\d)\.(weight|bias)", renumber("head.dense.box_tower", 2)),
    (r"head\.regression_head\.conv\.(.*)", r"head.dense.box_tower.\1"),
    (r"head\.regression_head\.bbox_reg\.(.*)", r"head.dense.deltas.\1"),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of torchvision's ``RetinaNet``, and remove the unused class 0."""
    renamed = rename_tensors(tensors, _NAMES)
    deltas = renamed.get("head.dense.deltas.bias")
    if deltas is None:
        return renamed
    return {name: drop_background(rows, len(deltas) // 4) if ".dense.logits." in name else rows for name, rows in renamed.items()}


def resnet50_fpn() -> Publication:
    """Return the publication of ``retinanet_resnet50_fpn``.

    The norms have an eps of 0, as torchvision's loader sets it for this file.
    """
    return torchvision_publication(presets.retinanet_resnet50_fpn(), convert, norm="frozen", norm_eps=0.0, frozen_stages=2)


def resnet50_fpn_v2() -> Publication:
    """Return the publication of ``retinanet_resnet50_fpn_v2``."""
    return torchvision_publication(presets.retinanet_resnet50_fpn_v2(), convert, frozen_stages=2)
