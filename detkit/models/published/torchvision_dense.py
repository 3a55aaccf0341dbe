"""Conversion of torchvision's RetinaNet and FCOS files, old and new."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from detkit.models import presets
from detkit.models.published.conversion import Renaming, rename_tensors
from detkit.models.published.torchvision import PYRAMID, torchvision_publication


def renumber(target: str, step: int) -> Callable[[re.Match[str]], str]:
    """Return a replacement for names of layers that are numbered together with the layers that follow each convolution.

    The groups of the pattern are the number of the layer and the rest of the name.

    Args:
        target: Name of the tower.
        step: Layers per convolution in the file, including the convolution.
    """

    def replacement(match: re.Match[str]) -> str:
        block, part = divmod(int(match[1]), step)
        return f"{target}.{block}.{part}.{match[2]}"

    return replacement


def _names(numbered: str, step: int) -> tuple[Renaming, ...]:
    """Return the names of both towers and their last layers.

    Args:
        numbered: Pattern of the layers that are numbered together with those after them; the others are blocks already.
        step: Layers per convolution among them.
    """
    towers = (("classification_head", "tower"), ("regression_head", "box_tower"))
    return (
        *PYRAMID,
        *((rf"head\.{head}\.conv\.{numbered}", renumber(f"head.dense.{tower}", step)) for head, tower in towers),
        *((rf"head\.{head}\.conv\.(.*)", rf"head.dense.{tower}.\1") for head, tower in towers),
        (r"head\.classification_head\.cls_logits\.(.*)", r"head.dense.logits.\1"),
        (r"head\.regression_head\.bbox_reg\.(.*)", r"head.dense.deltas.\1"),
        (r"head\.regression_head\.bbox_ctrness\.(.*)", r"head.dense.quality.\1"),
    )


# In RetinaNet's first file the towers' convolutions alternate with activations (`conv.0`, `conv.2`); in the second each is the first part
# of a block (`conv.0.0`, `conv.1.0`). In FCOS's, a norm and an activation follow each.
_RETINANET = _names(r"(\d)\.(weight|bias)", 2)
_FCOS = _names(r"(\d+)\.(.*)", 3)


def convert_retinanet(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of torchvision's ``RetinaNet``, and remove the unused class 0."""
    return _without_background(rename_tensors(tensors, _RETINANET))


def convert_fcos(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of torchvision's ``FCOS``, and remove the unused class 0."""
    return _without_background(rename_tensors(tensors, _FCOS))


def _without_background(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remove class 0, which torchvision's targets never have, from the last layer of sigmoids, laid out anchor by anchor."""
    deltas = tensors.get("head.dense.deltas.bias")
    if deltas is None:
        return tensors
    anchors = len(deltas) // 4
    return {
        name: rows.reshape(anchors, -1, *rows.shape[1:])[:, 1:].flatten(0, 1) if ".dense.logits." in name else rows
        for name, rows in tensors.items()
    }


fcos_resnet50_fpn = partial(torchvision_publication, presets.fcos_resnet50_fpn, convert_fcos, norm="frozen", frozen_stages=2)
# Torchvision's loader sets the eps of the norms to 0 for this file.
retinanet_resnet50_fpn = partial(
    torchvision_publication, presets.retinanet_resnet50_fpn, convert_retinanet, norm="frozen", norm_eps=0.0, frozen_stages=2
)
retinanet_resnet50_fpn_v2 = partial(torchvision_publication, presets.retinanet_resnet50_fpn_v2, convert_retinanet, frozen_stages=2)
