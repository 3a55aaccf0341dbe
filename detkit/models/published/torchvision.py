"""Conversion of torchvision's files: names of backbones and pyramids, old and new."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from detkit.models.detector import DetectorConfig
from detkit.models.published.conversion import COCO_SLOTS, Publication, Renaming

# Convolutions of the FPN were separate before torchvision 0.13 (`inner_blocks.0.weight`); since then each is the first part of a block
# (`inner_blocks.0.0.weight`). Files of both kinds are published.
PYRAMID: tuple[Renaming, ...] = (
    (r"backbone\.body\.(\d+\..*)", r"neck.backbone.features.\1"),
    (r"backbone\.body\.(.*)", r"neck.backbone.\1"),
    (r"backbone\.fpn\.((?:inner|layer)_blocks\.\d+)\.(weight|bias)", r"neck.\1.0.\2"),
    (r"backbone\.fpn\.(.*)", r"neck.\1"),
)
"""Names of a backbone and of the pyramid over it."""


def torchvision_publication(
    preset: Callable[[], DetectorConfig], convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]], **backbone: object
) -> Publication:
    """Return the publication of a preset with torchvision's weights.

    The file contains the backbone too, so that no other weights are loaded; frozen stages stay frozen in fine-tuning.
    """
    config = preset()
    config = config.replace(backbone=config.backbone.replace(weights=None, **backbone))
    return Publication(config, COCO_SLOTS, convert)
