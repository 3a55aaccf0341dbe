"""Backbones by name: networks that turn a batch of images into feature maps. Their static information is read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.backbones.config import BackboneConfig
from detkit.backbones.info import BackboneInfo, Level
from detkit.backbones.registry import BACKBONES, backbone_info, describe_backbones
from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.backbones.backbone import Backbone, SequentialBackbone
    from detkit.backbones.classifiers import PublishedClassifier, published_classifier
    from detkit.backbones.loading import load_backbone_weights

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneConfig",
    "BackboneInfo",
    "Level",
    "PublishedClassifier",
    "SequentialBackbone",
    "backbone_info",
    "describe_backbones",
    "load_backbone_weights",
    "published_classifier",
]

# Everything that needs torch is imported on first use.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".backbone": ("Backbone", "SequentialBackbone"),
        ".classifiers": ("PublishedClassifier", "published_classifier"),
        ".loading": ("load_backbone_weights",),
    },
)
