"""Backbones that torchvision supplies, under torchvision's names."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn
from torchvision import models
from torchvision.models import vgg

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
    return _mobilenet("mobilenet_v3_large", models.mobilenet_v3_large(), **choices)


def mobilenet_v3_large_reduced(**choices: Any) -> Backbone:
    """The same with the blocks of stride 32 half as wide, as SSDLite has it (section 6.3 of the paper) and torchvision builds it.

    Momentum of the norms and the normal start are those of torchvision's ``ssdlite320_mobilenet_v3_large``.
    """
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)
    body = models.mobilenet_v3_large(reduced_tail=True, norm_layer=norm)
    for part in body.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=0.03)
    return _mobilenet("mobilenet_v3_large_reduced", body, **choices)


def _mobilenet(name: str, body: nn.Module, **choices: Any) -> Backbone:
    # The first block of stride 32 runs part by part, for SSDLite takes a map from within: behind the expansion.
    parts = tuple(f"features.13.block.{part}" for part in range(4))
    bounds = (0, 2, 4, 7, 13, 16, 17)
    stages = tuple(
        tuple(step for place in range(low, high) for step in (parts if place == 13 else (f"features.{place}",)))
        for low, high in itertools.pairwise(bounds)
    )
    places = {"c1": "1", "c2": "3", "c3": "6", "c4": "12", "c4_expanded": "13.block.0", "c5_first": "13.block.3", "c5": "16"}
    taps = {level: f"features.{place}" for level, place in places.items()}
    return ChainBackbone(body, FACTS[name], stages=stages, taps=taps, **choices)


def vgg16(**choices: Any) -> Backbone:
    """VGG16 (Simonyan and Zisserman, 2014) without its fully connected layers, with torchvision's weights.

    Sides are halved rounding up, so that a map has ``ceil(size / stride)`` cells; SSD300 does so where it matters, at the third halving.
    """
    return _vgg16("vgg16", **choices)


def vgg16_caffe(**choices: Any) -> Backbone:
    """The same for the authors' own weights, which were made with Caffe for inputs of 0 to 255 without their mean."""
    return _vgg16("vgg16_caffe", **choices)


def _vgg16(name: str, **choices: Any) -> Backbone:
    features = vgg.make_layers(vgg.cfgs["D"])
    for part in features:
        if isinstance(part, nn.MaxPool2d):
            part.ceil_mode = True
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    # Stages begin with a pooling, as those that torchvision's SSD freezes by; the classifier's 124 million numbers are not made.
    bounds = (0, 4, 9, 16, 23, 31)
    stages = tuple(tuple(f"features.{place}" for place in range(low, high)) for low, high in itertools.pairwise(bounds))
    places = {"c0": 3, "c1": 8, "c2": 15, "c3": 22, "c4": 29, "c5": 30}
    body = nn.ModuleDict({"features": features, "classifier": nn.Identity()})
    return ChainBackbone(body, FACTS[name], stages=stages, taps={level: f"features.{n}" for level, n in places.items()}, **choices)


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
