"""Backbones that torchvision supplies, under torchvision's names."""

from __future__ import annotations

import itertools
from typing import Any

from torchvision import models

from detkit.backbones.backbone import Backbone, ChainBackbone
from detkit.backbones.facts import FACTS

_RESNET_STAGES = (("conv1", "bn1", "relu", "maxpool"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))
_RESNET_TAPS = {"c1": "relu", "c2": "layer1", "c3": "layer2", "c4": "layer3", "c5": "layer4"}


def resnet18(**choices: Any) -> Backbone:
    """ResNet-18 (He et al., 2015)."""
    return _resnet("resnet18", **choices)


def resnet34(**choices: Any) -> Backbone:
    """ResNet-34 (He et al., 2015)."""
    return _resnet("resnet34", **choices)


def resnet50(**choices: Any) -> Backbone:
    """ResNet-50 (He et al., 2015), with the stride in the 3x3 convolution."""
    return _resnet("resnet50", **choices)


def resnet101(**choices: Any) -> Backbone:
    """ResNet-101 (He et al., 2015), with the stride in the 3x3 convolution."""
    return _resnet("resnet101", **choices)


def mobilenet_v3_large(**choices: Any) -> Backbone:
    """MobileNetV3-Large (Howard et al., 2019); its six stages are those that torchvision's detectors freeze by."""
    bounds = (0, 2, 4, 7, 13, 16, 17)
    stages = tuple(tuple(f"features.{place}" for place in range(low, high)) for low, high in itertools.pairwise(bounds))
    places = {"c1": 1, "c2": 3, "c3": 6, "c4": 12, "c5_first": 13, "c5": 16}
    taps = {level: f"features.{place}" for level, place in places.items()}
    return ChainBackbone(models.mobilenet_v3_large(), FACTS["mobilenet_v3_large"], stages=stages, taps=taps, **choices)


def _resnet(name: str, **choices: Any) -> Backbone:
    return ChainBackbone(models.get_model(name), FACTS[name], stages=_RESNET_STAGES, taps=_RESNET_TAPS, **choices)
