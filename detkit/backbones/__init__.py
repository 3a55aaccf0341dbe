"""Networks that turn a batch of images into maps, by name; what is known about each is read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detkit.backbones.config import BackboneConfig
from detkit.backbones.facts import BackboneFacts, Level, describe, facts_of
from detkit.backbones.table import BACKBONES

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

_LAZY = {
    "Backbone": "backbone",
    "ChainBackbone": "backbone",
    "Classifier": "classifiers",
    "classifier": "classifiers",
    "load_backbone_weights": "loading",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
