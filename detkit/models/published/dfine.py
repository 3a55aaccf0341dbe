"""D-FINE: conversion of its files, trained on COCO, on Objects365, or on both in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from detkit.models import presets
from detkit.models.dfine import DFINEConfig
from detkit.models.published import query_detectors
from detkit.models.published.conversion import COCO_CLASSES, Publication
from detkit.models.published.objects365 import OBJECTS365_CLASSES

_SLOTS = (None, *OBJECTS365_CLASSES)
"""One class for every category id of Objects365, from 0 on, which is not used."""

_BLOCKS: query_detectors.Rules = (
    (r"^(encoder\.downsample_convs\.\d)\.conv([12])\.", r"\1.cv\2."),
    (r"_blocks\.(\d)\.conv([14])\.", r"_blocks.\1.cv\2."),
    (r"_blocks\.(\d)\.csp_rep1\.", r"_blocks.\1.cv2.0."),
    (r"_blocks\.(\d)\.csp_rep2\.", r"_blocks.\1.cv3.0."),
    (r"_blocks\.(\d)\.conv([23])\.", r"_blocks.\1.cv\2.1."),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of D-FINE; see :func:`detkit.models.published.query_detectors.convert`."""
    return query_detectors.convert(tensors, _rename_backbone, _BLOCKS)


def _rename_backbone() -> query_detectors.Rename:
    from detkit.backbones.rtdetr.hgnet_v2 import rename  # imports timm

    return rename


def _publication(preset: Callable[[], DFINEConfig], class_names: tuple[str | None, ...] = COCO_CLASSES) -> Publication:
    """Return the publication of a preset; the file contains the backbone too."""
    config = preset()
    return Publication(config.replace(backbone=config.backbone.replace(weights=None)), class_names, convert)


n = partial(_publication, presets.dfine_n)
s = partial(_publication, presets.dfine_s)
m = partial(_publication, presets.dfine_m)
l = partial(_publication, presets.dfine_l)  # noqa: E741
x = partial(_publication, presets.dfine_x)
s_obj365 = partial(_publication, presets.dfine_s, _SLOTS)
m_obj365 = partial(_publication, presets.dfine_m, _SLOTS)
l_obj365 = partial(_publication, presets.dfine_l, _SLOTS)
x_obj365 = partial(_publication, presets.dfine_x, _SLOTS)
