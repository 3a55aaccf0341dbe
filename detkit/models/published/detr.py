"""Facebook AI's DETRs: conversion of their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from detkit.models import presets
from detkit.models.detr import DETRConfig
from detkit.models.published.conversion import COCO_SLOTS, Publication, Renaming, rename_tensors

CLASS_NAMES = (None, *COCO_SLOTS)
"""One class for every category id of COCO, from 0 on; "no object" comes after the last in the files, as in this package."""

_NAMES: tuple[Renaming, ...] = (
    (r"backbone\.0\.body\.(.*)", r"neck.backbone.\1"),
    (r"transformer\.(.*)", r"head.\1"),
    (r"input_proj\.(.*)", r"head.projection.\1"),
    (r"query_embed\.(.*)", r"head.queries.\1"),
    (r"class_embed\.(.*)", r"head.logits.\1"),
    # Here the activations between the layers are counted too.
    (r"bbox_embed\.layers\.(\d)\.(.*)", lambda match: f"head.box_layers.{2 * int(match[1])}.{match[2]}"),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of the released ``DETR``; the order of the classes is already the right one."""
    return rename_tensors(tensors, _NAMES)


def _publication(preset: Callable[[], DETRConfig]) -> Publication:
    """Return the publication of a preset.

    The file contains the backbone too, so that no other weights are loaded; frozen stages stay frozen in fine-tuning.
    """
    config = preset()
    return Publication(config.replace(backbone=config.backbone.replace(weights=None, norm="frozen", frozen_stages=2)), CLASS_NAMES, convert)


r50 = partial(_publication, presets.detr_r50)
r50_dc5 = partial(_publication, presets.detr_r50_dc5)
r101 = partial(_publication, presets.detr_r101)
r101_dc5 = partial(_publication, presets.detr_r101_dc5)
