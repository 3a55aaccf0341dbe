"""Facebook AI's DETRs: their files under our names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from detkit.models import presets_detr
from detkit.models.detr import DETRConfig
from detkit.models.published.coco import COCO_SLOTS
from detkit.models.published.load import Publication
from detkit.models.published.torchvision import Renaming, renamed

CLASS_NAMES = (None, *COCO_SLOTS)
"""A class for every category id of COCO, from 0 on; "no object" comes after the last, as it does here."""

_NAMES: tuple[Renaming, ...] = (
    (r"backbone\.0\.body\.(.*)", r"neck.backbone.\1"),
    (r"transformer\.(.*)", r"head.\1"),
    (r"input_proj\.(.*)", r"head.projection.\1"),
    (r"query_embed\.(.*)", r"head.num_queries.\1"),
    (r"class_embed\.(.*)", r"head.logits.\1"),
    # An activation stands between two of the layers, and is counted here.
    (r"bbox_embed\.layers\.(\d)\.(.*)", lambda found: f"head.box_layers.{2 * int(found[1])}.{found[2]}"),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the released ``DETR`` under our names; classes are in our order."""
    return renamed(tensors, _NAMES)


def _as_published(preset: Callable[[], DETRConfig]) -> Publication:
    """The file fills the backbone too, so nothing else does; what is frozen stays frozen when training goes on."""
    config = preset()
    return Publication(config.replace(backbone=config.backbone.replace(weights=None, norm="frozen", frozen_stages=2)), CLASS_NAMES, convert)


def r50() -> Publication:
    """``detr_r50``."""
    return _as_published(presets_detr.detr_r50)


def r50_dc5() -> Publication:
    """``detr_r50_dc5``."""
    return _as_published(presets_detr.detr_r50_dc5)


def r101() -> Publication:
    """``detr_r101``."""
    return _as_published(presets_detr.detr_r101)


def r101_dc5() -> Publication:
    """``detr_r101_dc5``."""
    return _as_published(presets_detr.detr_r101_dc5)
