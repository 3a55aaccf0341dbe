"""Conversion of torchvision's Mask R-CNN files, old and new."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from detkit.models import presets
from detkit.models.published import torchvision_faster_rcnn
from detkit.models.published.conversion import Renaming, rename_tensors
from detkit.models.published.torchvision import torchvision_publication

# The convolutions of the mask head were named (`mask_fcn1.weight`) before torchvision 0.13; since then each is the first part of a block
# (`0.0.weight`).
_NAMES: tuple[Renaming, ...] = (
    (r"roi_heads\.mask_head\.mask_fcn(\d)\.(.*)", lambda match: f"mask.network.convs.{int(match[1]) - 1}.0.{match[2]}"),
    (r"roi_heads\.mask_head\.(.*)", r"mask.network.convs.\1"),
    (r"roi_heads\.mask_predictor\.conv5_mask\.(.*)", r"mask.network.upsample.\1"),
    (r"roi_heads\.mask_predictor\.mask_fcn_logits\.(.*)", r"mask.network.logits.\1"),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of torchvision's ``MaskRCNN``, and move background from class 0 to class K.

    The mask of background is never used, and is dropped. An unknown name is unchanged.
    """
    converted = torchvision_faster_rcnn.convert(rename_tensors(tensors, _NAMES))
    masks = {name: tensor[1:].clone() for name, tensor in converted.items() if name.startswith("mask.network.logits.")}
    return converted | masks


# Torchvision's loader sets the eps of the norms to 0 for the first file.
resnet50_fpn = partial(torchvision_publication, presets.maskrcnn_resnet50_fpn, convert, norm="frozen", norm_eps=0.0, frozen_stages=2)
resnet50_fpn_v2 = partial(torchvision_publication, presets.maskrcnn_resnet50_fpn_v2, convert, frozen_stages=2)
