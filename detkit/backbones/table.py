"""The table of backbones that a person can name."""

from __future__ import annotations

from detkit.registry import Registry

BACKBONES = Registry(
    "backbone",
    "detkit.backbones",
    {
        "resnet18": "detkit.backbones.torchvision_models:resnet18",
        "resnet34": "detkit.backbones.torchvision_models:resnet34",
        "resnet50": "detkit.backbones.torchvision_models:resnet50",
        "resnet101": "detkit.backbones.torchvision_models:resnet101",
        "mobilenet_v3_large": "detkit.backbones.torchvision_models:mobilenet_v3_large",
        "efficientnet_lite0": "detkit.backbones.timm_models:efficientnet_lite0",
    },
)
"""Each entry is a function ``make(*, levels, norm, norm_eps) -> Backbone``; see :class:`detkit.backbones.BackboneConfig` for the three."""
