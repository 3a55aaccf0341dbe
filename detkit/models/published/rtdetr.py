"""RT-DETR and RT-DETRv2: conversion of their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from detkit.models import presets
from detkit.models.published import query_detectors
from detkit.models.published.conversion import COCO_CLASSES, Publication
from detkit.models.rtdetr import RTDETRConfig


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of RT-DETR or RT-DETRv2; see :func:`detkit.models.published.query_detectors.convert`."""
    return query_detectors.convert(tensors, _rename_backbone)


def _rename_backbone() -> query_detectors.Rename:
    from detkit.backbones.rtdetr.resnet_d import rename  # imports timm

    return rename


def _publication(preset: Callable[[], RTDETRConfig]) -> Publication:
    """Return the publication of a preset; the file contains the backbone too."""
    config = preset()
    return Publication(config.replace(backbone=config.backbone.replace(weights=None)), COCO_CLASSES, convert)


r18 = partial(_publication, presets.rtdetr_r18)
r34 = partial(_publication, presets.rtdetr_r34)
r50 = partial(_publication, presets.rtdetr_r50)
r101 = partial(_publication, presets.rtdetr_r101)
v2_r18 = partial(_publication, presets.rtdetr_v2_r18)
v2_r34 = partial(_publication, presets.rtdetr_v2_r34)
v2_r50 = partial(_publication, presets.rtdetr_v2_r50)
v2_r101 = partial(_publication, presets.rtdetr_v2_r101)
