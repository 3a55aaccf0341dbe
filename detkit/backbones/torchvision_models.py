"""Backbones that torchvision supplies, under torchvision's names."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from torch import nn
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


def _resnet(name: str, *, dilated_c5: bool = False, **choices: Any) -> Backbone:
    body, facts = models.get_model(name), FACTS[name]
    if dilated_c5:
        _dilate(body.layer4)
        facts = replace(facts, levels=(*facts.levels[:-1], replace(facts.levels[-1], stride=facts.levels[-1].stride // 2)))
    return ChainBackbone(body, facts, stages=_RESNET_STAGES, taps=_RESNET_TAPS, **choices)


def _dilate(stage: nn.Module) -> None:
    """Take the stride out of a stage; kernels behind the one that had it reach twice as far instead, so that trained weights still fit."""
    behind = False
    for part in stage.modules():
        if isinstance(part, nn.Conv2d):
            wide = part.kernel_size != (1, 1)
            if wide and behind:
                part.dilation, part.padding = (2, 2), (2, 2)
            behind = behind or (wide and part.stride != (1, 1))
            part.stride = (1, 1)
