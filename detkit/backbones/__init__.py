"""Networks that turn a batch of images into maps, by name; what is known about each is read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.backbones.config import BackboneConfig
from detkit.backbones.facts import BackboneFacts, Level, describe, facts_of
from detkit.backbones.table import BACKBONES
from detkit.lazy import lazily

if TYPE_CHECKING:
    from detkit.backbones.backbone import Backbone, ChainBackbone
    from detkit.backbones.classifiers import Classifier, classifier
    from detkit.backbones.loading import load_backbone_weights

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneConfig",
    "BackboneFacts",
    "ChainBackbone",
    "Classifier",
    "Level",
    "classifier",
    "describe",
    "facts_of",
    "load_backbone_weights",
]

# What needs torch is imported when it is asked for.
__getattr__ = lazily(
    __name__,
    {
        ".backbone": ("Backbone", "ChainBackbone"),
        ".classifiers": ("Classifier", "classifier"),
        ".loading": ("load_backbone_weights",),
    },
)
